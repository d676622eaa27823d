/**
 * Is the candidate slower? Per kind of statement and for all together, by service time.
 *
 * One slow execution is no finding, nor is a machine that was busy for a while. A regression must show in most pairs of executions
 * (with a confidence that allows for how many kinds are compared), beyond what all other statements together are slower by, be large
 * enough to matter in milliseconds, and be there in nearly every stretch of the replay. Where there is a noise run, what two
 * equal runs differ by is no regression either.
 */
import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'
import type { LatencyRow } from '../../segment/diff.js'
import { type Interval, medianInterval, percentilesMs, Z_95, zForComparisons } from './quantiles.js'

export type LatencyRules = {
  readonly countMin: number
  /** Slower beyond this ratio, faster below its inverse. */
  readonly ratio: number
  /** The medians must be apart by this much: 0.04 ms instead of 0.02 ms is twice as slow, and nobody notices. */
  readonly differenceMsMin: number
  /** Share of the stretches of the replay that must agree. */
  readonly stretchesAgreeing: number
}

export const LATENCY_RULES: LatencyRules = { countMin: 20, ratio: 1.25, differenceMsMin: 0.2, stretchesAgreeing: 0.8 }

const STRETCHES = 10
/** Kinds of statement beyond this many are counted with all statements only. */
const KINDS_MAX = 5_000
/** The slowest executions, as examples of a finding. */
const SLOWEST = 3
/** Ratios are counted in thousandths. */
const RATIO_UNIT = 1_000
const RATIO_MAX = 1_000_000
/** Production that was over at once says nothing about a second of it. */
const SECONDS_MIN = 0.001

export type Timed = {
  readonly fingerprint: string
  readonly sql: string
  readonly seq: number
  readonly beforeUs: number
  readonly afterUs: number
  readonly noiseUs: number | null
  /** Where in the replay, 0 to 1. */
  readonly progress: number
  /** When production sent it and had its answer, from the start of the recording. */
  readonly productionUs: readonly [sent: number, done: number]
}

export type Slowest = { readonly seq: number; readonly beforeUs: number; readonly afterUs: number }

export type LatencyVerdict = { readonly row: LatencyRow; readonly slowest: readonly Slowest[] }

type Kind = {
  readonly fingerprint: string
  readonly sql: string
  readonly before: Histogram
  readonly after: Histogram
  /** Ratios of pairs: after to before, and noise to before. */
  readonly ratios: Histogram
  readonly noiseRatios: Histogram
  /** Per stretch: how many pairs were slower, and how many faster. */
  readonly slower: Int32Array
  readonly faster: Int32Array
  slowest: Slowest[]
  /** Service time that the second side added, of all executions together. */
  addedUs: number
}

export class Latencies {
  readonly #all = newKind('', '')
  readonly #kinds = new Map<string, Kind>()
  readonly #rules: LatencyRules
  #firstUs = Infinity
  #lastUs = 0

  constructor(rules: LatencyRules = LATENCY_RULES) {
    this.#rules = rules
  }

  add(timed: Timed): void {
    const [sentUs, doneUs] = timed.productionUs
    this.#firstUs = Math.min(this.#firstUs, sentUs)
    this.#lastUs = Math.max(this.#lastUs, doneUs)
    record(this.#all, timed)
    let kind = this.#kinds.get(timed.fingerprint)
    if (kind === undefined) {
      if (this.#kinds.size >= KINDS_MAX || timed.fingerprint === '') return
      kind = newKind(timed.fingerprint, timed.sql)
      this.#kinds.set(timed.fingerprint, kind)
    }
    record(kind, timed)
  }

  /** From the first to the last of them, as production ran them; a replay at full speed would make a second of traffic look dearer. */
  get productionMs(): number {
    return Math.max(0, this.#lastUs - this.#firstUs) / 1000
  }

  /** By how much the others are slower: a kind that is most of the traffic is no measure of itself. */
  #besides(kind: Kind): Shift {
    const others = {
      ratios: without(this.#all.ratios, kind.ratios),
      noiseRatios: without(this.#all.noiseRatios, kind.noiseRatios),
    }
    return medianRatios(others.ratios.totalCount < this.#rules.countMin ? this.#all : others, Z_95)
  }

  /** All statements first, then by milliseconds won or lost per second of production's traffic. */
  list(): readonly LatencyVerdict[] {
    if (this.#all.before.totalCount === 0) return []
    const kinds = [...this.#kinds.values()]
    const judged = kinds.filter(({ before }) => before.totalCount >= this.#rules.countMin)
    const z = zForComparisons(judged.length)
    const seconds = Math.max(SECONDS_MIN, this.productionMs / 1000)
    const verdicts = kinds.map((kind) => verdictOf(kind, z, this.#besides(kind), this.#rules, seconds))
    const size = ({ row }: LatencyVerdict) => Math.abs(row.impactMsPerSecond ?? 0)
    return [
      verdictOf(this.#all, Z_95, { after: 1, noise: 1 }, this.#rules, seconds),
      ...verdicts.sort((a, b) => size(b) - size(a) || b.row.count - a.row.count),
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
    ratios: histogram(),
    noiseRatios: histogram(),
    slower: new Int32Array(STRETCHES),
    faster: new Int32Array(STRETCHES),
    slowest: [],
    addedUs: 0,
  }
}

function record(kind: Kind, { seq, beforeUs, afterUs, noiseUs, progress }: Timed): void {
  kind.before.recordValue(Math.max(1, Math.round(beforeUs)))
  kind.after.recordValue(Math.max(1, Math.round(afterUs)))
  kind.ratios.recordValue(ratioOf(beforeUs, afterUs))
  if (noiseUs !== null) kind.noiseRatios.recordValue(ratioOf(beforeUs, noiseUs))
  const stretch = Math.min(STRETCHES - 1, Math.max(0, Math.floor(progress * STRETCHES)))
  if (afterUs > beforeUs) kind.slower[stretch]! += 1
  else if (afterUs < beforeUs) kind.faster[stretch]! += 1
  kind.addedUs += afterUs - beforeUs
  const least = kind.slowest.at(-1)
  if (kind.slowest.length < SLOWEST || (least !== undefined && afterUs > least.afterUs))
    kind.slowest = [...kind.slowest, { seq, beforeUs, afterUs }].sort((a, b) => b.afterUs - a.afterUs).slice(0, SLOWEST)
}

function ratioOf(beforeUs: number, afterUs: number): number {
  return Math.min(RATIO_MAX, Math.max(1, Math.round((RATIO_UNIT * Math.max(1, afterUs)) / Math.max(1, beforeUs))))
}

function interval(ratios: Histogram, z: number): Interval {
  const { median, low, high } = medianInterval(ratios, z)
  return { median: median / RATIO_UNIT, low: low / RATIO_UNIT, high: high / RATIO_UNIT }
}

type Shift = { readonly after: number; readonly noise: number }

function without(all: Histogram, some: Histogram): Histogram {
  const rest = build({ numberOfSignificantValueDigits: 2 })
  rest.add(all)
  rest.subtract(some)
  return rest
}

/** By how much the runs as a whole differ: a slower disk, a busier machine. */
function medianRatios({ ratios, noiseRatios }: Pick<Kind, 'ratios' | 'noiseRatios'>, z: number): Shift {
  return {
    after: interval(ratios, z).median,
    noise: noiseRatios.totalCount === 0 ? 1 : interval(noiseRatios, z).median,
  }
}

function verdictOf(kind: Kind, z: number, overall: Shift, rules: LatencyRules, seconds: number): LatencyVerdict {
  const { before, after } = kind
  const shown = interval(kind.ratios, Z_95)
  const row: LatencyRow = {
    fingerprint: kind.fingerprint,
    sql: kind.sql,
    count: before.totalCount,
    beforeMs: percentilesMs(before),
    afterMs: percentilesMs(after),
    beforeHistogram: encodeIntoCompressedBase64(before),
    afterHistogram: encodeIntoCompressedBase64(after),
    ratio: shown.median,
    ratioLow: shown.low,
    ratioHigh: shown.high,
    verdict: before.totalCount < rules.countMin ? 'too few' : direction(kind, z, overall, rules),
    impactMsPerSecond: kind.addedUs / 1000 / seconds,
  }
  return { row, slowest: kind.slowest }
}

function direction(kind: Kind, z: number, overall: Shift, rules: LatencyRules): LatencyRow['verdict'] {
  const { before, after, noiseRatios } = kind
  const apartMs = (after.getValueAtPercentile(50) - before.getValueAtPercentile(50)) / 1000
  if (Math.abs(apartMs) < rules.differenceMsMin) return 'same'
  const judged = interval(kind.ratios, z)
  const itself = noiseRatios.totalCount === 0 ? 1 : interval(noiseRatios, z).median / overall.noise
  // Surely slower than the rest, and by enough: two questions.
  const slower = Math.max(1, overall.after) * Math.max(1, itself)
  const faster = Math.min(1, overall.after) * Math.min(1, itself)
  const { median, low, high } = judged
  if (low > slower && median > slower * rules.ratio && agree(kind.slower, kind.faster, rules)) return 'slower'
  if (high < faster && median < faster / rules.ratio && agree(kind.faster, kind.slower, rules)) return 'faster'
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
