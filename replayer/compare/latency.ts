/**
 * Is the candidate slower? Per kind of statement and for all together, by service time.
 *
 * One slow execution is no finding, nor is a machine that was busy for a while. A regression must show in the medians (with a
 * confidence interval that allows for how many kinds are compared), be large enough to matter in milliseconds, and be there in
 * nearly every stretch of the replay. Where there is a noise run, what two equal runs differ by is no regression either.
 */
import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'
import type { LatencyRow } from '../../segment/diff.js'
import { percentilesMs, ratioOfQuantiles, Z_95, zForComparisons } from './quantiles.js'

export type LatencyRules = {
  readonly countMin: number
  /** Slower beyond this ratio of medians, faster below its inverse. */
  readonly ratio: number
  /** The medians must be apart by this much: 0.02 ms more than 0.02 ms is twice as slow and nobody notices. */
  readonly differenceMsMin: number
  /** Share of the stretches of the replay that must agree. */
  readonly stretchesAgreeing: number
}

export const LATENCY_RULES: LatencyRules = { countMin: 30, ratio: 1.5, differenceMsMin: 0.25, stretchesAgreeing: 0.8 }

const STRETCHES = 10
/** Kinds of statement beyond this many are counted with all statements only. */
const KINDS_MAX = 5_000
/** The slowest executions, as examples of a finding. */
const SLOWEST = 3

export type Timed = {
  readonly fingerprint: string
  readonly sql: string
  readonly seq: number
  readonly beforeUs: number
  readonly afterUs: number
  readonly noiseUs: number | null
  /** Where in the replay, 0 to 1. */
  readonly progress: number
}

export type Slowest = { readonly seq: number; readonly beforeUs: number; readonly afterUs: number }

type Kind = {
  readonly fingerprint: string
  readonly sql: string
  readonly before: Histogram
  readonly after: Histogram
  readonly noise: Histogram
  /** Per stretch: how many pairs were slower, and how many faster. */
  readonly slower: Int32Array
  readonly faster: Int32Array
  slowest: Slowest[]
}

export type LatencyVerdict = {
  readonly row: LatencyRow
  readonly slowest: readonly Slowest[]
  readonly noiseRatio: number | null
}

export class Latencies {
  readonly #all = newKind('', '')
  readonly #kinds = new Map<string, Kind>()
  readonly #rules: LatencyRules

  constructor(rules: LatencyRules = LATENCY_RULES) {
    this.#rules = rules
  }

  add(timed: Timed): void {
    record(this.#all, timed)
    let kind = this.#kinds.get(timed.fingerprint)
    if (kind === undefined) {
      if (this.#kinds.size >= KINDS_MAX || timed.fingerprint === '') return
      kind = newKind(timed.fingerprint, timed.sql)
      this.#kinds.set(timed.fingerprint, kind)
    }
    record(kind, timed)
  }

  /** All statements first, then by milliseconds won or lost in total. */
  list(): readonly LatencyVerdict[] {
    const judged = [...this.#kinds.values()].filter(({ before }) => before.totalCount >= this.#rules.countMin)
    const z = zForComparisons(judged.length)
    const verdicts = [...this.#kinds.values()].map((kind) => verdict(kind, z, this.#rules))
    const lostMs = ({ row }: LatencyVerdict) => Math.abs(row.afterMs.p50 - row.beforeMs.p50) * row.count
    return [
      verdict(this.#all, Z_95, this.#rules),
      ...verdicts.sort((a, b) => lostMs(b) - lostMs(a) || b.row.count - a.row.count),
    ]
  }
}

function newKind(fingerprint: string, sql: string): Kind {
  const histogram = () => build({ numberOfSignificantValueDigits: 2 })
  return {
    fingerprint,
    sql,
    before: histogram(),
    after: histogram(),
    noise: histogram(),
    slower: new Int32Array(STRETCHES),
    faster: new Int32Array(STRETCHES),
    slowest: [],
  }
}

function record(kind: Kind, { seq, beforeUs, afterUs, noiseUs, progress }: Timed): void {
  kind.before.recordValue(Math.max(1, Math.round(beforeUs)))
  kind.after.recordValue(Math.max(1, Math.round(afterUs)))
  if (noiseUs !== null) kind.noise.recordValue(Math.max(1, Math.round(noiseUs)))
  const stretch = Math.min(STRETCHES - 1, Math.max(0, Math.floor(progress * STRETCHES)))
  if (afterUs > beforeUs) kind.slower[stretch]! += 1
  else if (afterUs < beforeUs) kind.faster[stretch]! += 1
  const least = kind.slowest.at(-1)
  if (kind.slowest.length < SLOWEST || (least !== undefined && afterUs > least.afterUs))
    kind.slowest = [...kind.slowest, { seq, beforeUs, afterUs }].sort((a, b) => b.afterUs - a.afterUs).slice(0, SLOWEST)
}

function verdict(kind: Kind, z: number, rules: LatencyRules): LatencyVerdict {
  const { before, after, noise } = kind
  const shown = ratioOfQuantiles(before, after, 0.5, Z_95)
  const row: LatencyRow = {
    fingerprint: kind.fingerprint,
    sql: kind.sql,
    count: before.totalCount,
    beforeMs: percentilesMs(before),
    afterMs: percentilesMs(after),
    beforeHistogram: encodeIntoCompressedBase64(before),
    afterHistogram: encodeIntoCompressedBase64(after),
    ratio: shown.ratio,
    ratioLow: shown.low,
    ratioHigh: shown.high,
    verdict: before.totalCount < rules.countMin ? 'too few' : direction(kind, z, rules),
  }
  const noiseRatio = noise.totalCount === 0 ? null : ratioOfQuantiles(before, noise, 0.5, Z_95).ratio
  return { row, slowest: kind.slowest, noiseRatio }
}

function direction(kind: Kind, z: number, rules: LatencyRules): LatencyRow['verdict'] {
  const { before, after, noise } = kind
  const judged = ratioOfQuantiles(before, after, 0.5, z)
  const apartMs = (after.getValueAtPercentile(50) - before.getValueAtPercentile(50)) / 1000
  if (Math.abs(apartMs) < rules.differenceMsMin) return 'same'
  const self = noise.totalCount === 0 ? 1 : ratioOfQuantiles(before, noise, 0.5, z).high
  const selfLow = noise.totalCount === 0 ? 1 : ratioOfQuantiles(before, noise, 0.5, z).low
  if (judged.low > rules.ratio * Math.max(1, self) && agree(kind.slower, kind.faster, rules)) return 'slower'
  if (judged.high < Math.min(1, selfLow) / rules.ratio && agree(kind.faster, kind.slower, rules)) return 'faster'
  return 'same'
}

/** Do nearly all stretches with enough pairs lean one way? */
function agree(leaning: Int32Array, against: Int32Array, rules: LatencyRules): boolean {
  let stretches = 0
  let agreeing = 0
  for (let at = 0; at < STRETCHES; at += 1) {
    const [more, less] = [leaning[at]!, against[at]!]
    if (more + less < 3) continue
    stretches += 1
    if (more > less) agreeing += 1
  }
  return stretches === 0 || agreeing >= stretches * rules.stretchesAgreeing
}
