/**
 * Was a moment made during the replay?
 *
 * Two replays run at different times, so what `now()` put into one differs from what it put into the other, and that is no
 * finding. But a column full of such moments also holds old ones, from the snapshot, and a migration that shifts those by an hour
 * must be found. So each pair of values is asked: does each lie within its own run, as far from its start as the other?
 *
 *     before   |start ······ 12.3 s ·· now|          (a - start of A) and (b - start of B) agree as well as the
 *     after             |start ······ 12.4 s ·· now|  two runs keep pace: that is `driftMs`, the most seen so far
 *
 * A moment from the snapshot lies before its run. A zone error moves a moment by a quarter of an hour at least, which no drift of
 * two equally fast replays explains. A value without a zone may be hours away from UTC, but both must be by the same.
 */
import { DAY_US, HOUR_US, type Moment, QUARTER_US } from './time.js'

export type Clocks = {
  readonly beforeStartMs: number
  readonly afterStartMs: number
  /** How far the runs are, at the statement being judged. */
  readonly beforeElapsedMs: number
  readonly afterElapsedMs: number
  /** The largest difference of pace so far. */
  readonly driftMs: number
}

/** Two servers' clocks, a transaction that began earlier: what may come on top of the drift. */
const SLACK_MS = 5_000
/** The machine that replays and the server may disagree about the time; both runs suffer alike. */
const SKEW_MS = 300_000
const ZONE_MAX_US = 14 * HOUR_US

export function madeInReplay(before: Moment, after: Moment, clocks: Clocks): boolean {
  return (
    withinRun(before, clocks.beforeStartMs, clocks.beforeElapsedMs) &&
    withinRun(after, clocks.afterStartMs, clocks.afterElapsedMs) &&
    keepsPace(before, after, clocks)
  )
}

/**
 * For values that are known to be made of the current time (`now() + interval '30 days'`): they need not lie within the run, but
 * must keep its pace. A difference of exact quarters of an hour is a zone, not a clock.
 */
export function movesWithReplay(before: Moment, after: Moment, clocks: Clocks): boolean {
  const exact = (after.atUs - before.atUs) % QUARTER_US === 0 && !before.day && !after.day
  return keepsPace(before, after, clocks) && !exact
}

/** How far the pair is from agreeing about the time since the start of their runs, microseconds. */
export function paceErrorUs(before: Moment, after: Moment, clocks: Clocks): number {
  return after.atUs - before.atUs - (clocks.afterStartMs - clocks.beforeStartMs) * 1000
}

/** Both lie near their own run, but by different zones: the shift in microseconds, to a quarter of an hour; 0: they do not. */
export function zoneShiftUs(before: Moment, after: Moment, clocks: Clocks): number {
  const near = (moment: Moment, startMs: number, elapsedMs: number) =>
    withinRun({ ...moment, zoned: false }, startMs, elapsedMs)
  if (
    !near(before, clocks.beforeStartMs, clocks.beforeElapsedMs) ||
    !near(after, clocks.afterStartMs, clocks.afterElapsedMs)
  )
    return 0
  const error = paceErrorUs(before, after, clocks)
  const shift = Math.round(error / QUARTER_US) * QUARTER_US
  return Math.abs(error - shift) <= toleranceUs(before, after, clocks) ? shift : 0
}

export function toleranceUs(before: Moment, after: Moment, clocks: Clocks): number {
  return (clocks.driftMs + SLACK_MS) * 1000 + (before.day || after.day ? DAY_US : 0)
}

function keepsPace(before: Moment, after: Moment, clocks: Clocks): boolean {
  return Math.abs(paceErrorUs(before, after, clocks)) <= toleranceUs(before, after, clocks)
}

/** One of them was made in its run, and the other is older than its run by more than a zone. */
export function touchedByOne(before: Moment, after: Moment, clocks: Clocks): 'before' | 'after' | null {
  const made = {
    before: withinRun(before, clocks.beforeStartMs, clocks.beforeElapsedMs),
    after: withinRun(after, clocks.afterStartMs, clocks.afterElapsedMs),
  }
  const isOld = (moment: Moment, startMs: number) => moment.atUs < startMs * 1000 - 2 * ZONE_MAX_US
  if (made.before && isOld(after, clocks.afterStartMs)) return 'before'
  return made.after && isOld(before, clocks.beforeStartMs) ? 'after' : null
}

function withinRun(moment: Moment, startMs: number, elapsedMs: number): boolean {
  const early = SKEW_MS * 1000 + (moment.zoned ? 0 : ZONE_MAX_US) + (moment.day ? DAY_US : 0)
  const late = SKEW_MS * 1000 + (moment.zoned ? 0 : ZONE_MAX_US)
  return moment.atUs >= startMs * 1000 - early && moment.atUs <= (startMs + elapsedMs) * 1000 + late
}
