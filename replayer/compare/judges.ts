/**
 * Who judges: the same knowledge and the same rules for comparing, for learning noise, and for explaining one statement.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import { knownTypes } from '../../segment/known-types.js'
import type { RecordingReader } from '../../segment/recording.js'
import type { RunSource } from '../../segment/run-source.js'
import { domainsOf } from '../../sql/domains.js'
import { Bijection } from './bijection.js'
import type { Canonical } from './cell.js'
import { Describer } from './describe.js'
import { IgnoreList, type IgnoreRule } from './ignore.js'
import { PairJudge } from './judge-pair.js'
import { MaskedTrail } from './masked.js'
import { joinBySeq } from './merge-runs.js'
import { aspectsOf, Noise } from './noise.js'
import { seedBijection } from './seed-bijection.js'

export type JudgeOptions = {
  readonly before: RunSource
  readonly after: RunSource
  /** The first run once more: what differs between the two differs by itself. */
  readonly noise?: RunSource
  readonly recording: RecordingSource
  readonly ignore?: readonly IgnoreRule[]
  /** Statements at which production ran a race; asked only when production is one of the two. */
  readonly ambiguous?: (seq: number) => boolean
  /** Statements that rest on what one of the two did not replay: see ./left-out.ts. */
  readonly unwritten?: (seq: number) => boolean
}

/** The parts of a recording that comparing needs. */
export type RecordingSource = Pick<RecordingReader, 'path' | 'manifest' | 'statements' | 'traceId'>

export function refuseStrangers({ before, after, noise, recording }: JudgeOptions): void {
  for (const run of [before, after, noise]) {
    if (run === undefined || run.facts.recordingId === recording.manifest.id) continue
    throw new HarnessError({
      code: 'OTHER_RECORDING',
      message: `run ${run.facts.id} is of another recording`,
      detail: `it replayed ${run.facts.recordingId}; the recording given is ${recording.manifest.id}`,
      hint: 'Compare runs of one recording, or name the right one with --recording.',
      exit: EXIT.usage,
    })
  }
}

/** Judges the first run against another. It remembers what it saw, so it is asked in the order of the recording. */
export function judgeFor(options: JudgeOptions, other: RunSource, noise: Noise | null): PairJudge {
  const { before, recording, ignore = [], ambiguous, unwritten } = options
  const runs = [before, other]
  const bijection = new Bijection()
  const production = runs.some(({ facts }) => facts.role === 'production')
  const masked = production ? new MaskedTrail(recording.manifest.catalog.searchPath) : null
  const domains = [...domainsOf(recording.manifest.catalog).values()]
  const sequences = new Set(domains.flatMap(({ name, source }) => (source === 'sequence' ? [name] : [])))
  seedBijection(bijection, before, other, (domain) => sequences.has(domain))
  return new PairJudge({
    before: before.facts,
    after: other.facts,
    bijection,
    describer: new Describer(recording.manifest.catalog, {
      ignore: new IgnoreList(ignore),
      noise,
      sequencesDiffer: runs.some(({ facts }) => facts.role !== 'production' && facts.settings.order === 'session'),
      masked,
    }),
    canonical: { before: canonicalOf(before, recording), after: canonicalOf(other, recording) },
    ambiguous: production ? (ambiguous ?? null) : null,
    unwritten: unwritten ?? null,
    masked,
  })
}

/** Each run has the types of its own database. A recording is production's run; of older runs only PostgreSQL's own types are known. */
function canonicalOf({ facts }: RunSource, { manifest }: RecordingSource): Canonical {
  const types = knownTypes(facts.role === 'production' ? manifest.catalog.types : (facts.types ?? []))
  return (value, { typeOid }) => types.canonicalizerOf(typeOid)?.(value) ?? value
}

/** How often each kind of statement differs from itself, and from the candidate; null without a noise run. */
export function learnNoise(options: JudgeOptions, onStatement: () => void = () => {}): Noise | null {
  const { before, after, noise: again, recording } = options
  if (again === undefined) return null
  const noise = new Noise()
  const candidate = judgeFor(options, after, null)
  const itself = judgeFor(options, again, null)
  for (const { a, b, c, d } of joinBySeq(before.rows(), after.rows(), again.rows(), recording.statements())) {
    onStatement()
    if (a === undefined || b === undefined || c === undefined || d === undefined) continue
    const differsItself = aspectsOf(itself.judge(d, a, c).judgement)
    noise.observe(d.fingerprint, differsItself, aspectsOf(candidate.judge(d, a, b).judgement))
  }
  return noise
}
