/**
 * How long the replay's statements took before, while and after something was injected.
 */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Injection, LatencyStretch } from '../../../segment/run.js'

/** A statement of the run: when it was sent and answered, and whether it failed. */
export type Served = { readonly sentUs: number; readonly doneUs: number; readonly failed: boolean }

/** The stretch before and after: as long as it took itself, but no shorter than this. */
const AROUND_US_MIN = 10_000_000
const US_MAX = 3_600_000_000_000

type Stretch = { readonly fromUs: number; readonly toUs: number; errors: number; readonly histogram: Histogram }

/** One pass over the run for all that was injected. While: whoever was at it at some time while it ran. */
export function latencyAround(
  injected: readonly Pick<Injection, 'startedUs' | 'endedUs'>[],
  served: Iterable<Served>,
): Injection['latency'][] {
  const stretches = injected.map(({ startedUs, endedUs }) => {
    if (startedUs === null || endedUs === null) return null
    const around = Math.max(AROUND_US_MIN, endedUs - startedUs)
    return {
      before: stretch(Math.max(0, startedUs - around), startedUs),
      during: stretch(startedUs, endedUs),
      after: stretch(endedUs, endedUs + around),
    }
  })
  for (const one of served) {
    for (const around of stretches) {
      if (around === null) continue
      const { before, during, after } = around
      if (one.doneUs >= before.fromUs && one.doneUs < before.toUs) count(before, one)
      else if (one.sentUs <= during.toUs && one.doneUs >= during.fromUs) count(during, one)
      else if (one.sentUs > after.fromUs && one.sentUs <= after.toUs) count(after, one)
    }
  }
  return stretches.map(
    (around) => around && { before: told(around.before), during: told(around.during), after: told(around.after) },
  )
}

function stretch(fromUs: number, toUs: number): Stretch {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: US_MAX,
    numberOfSignificantValueDigits: 3,
  })
  return { fromUs, toUs, errors: 0, histogram }
}

function count(into: Stretch, { sentUs, doneUs, failed }: Served): void {
  into.histogram.recordValue(Math.min(US_MAX, Math.max(1, doneUs - sentUs)))
  if (failed) into.errors += 1
}

function told({ fromUs, toUs, errors, histogram }: Stretch): LatencyStretch {
  const none = histogram.totalCount === 0
  const at = (percentile: number) => (none ? 0 : histogram.getValueAtPercentile(percentile))
  return {
    fromUs,
    toUs,
    statements: histogram.totalCount,
    errors,
    p50Us: at(50),
    p95Us: at(95),
    p99Us: at(99),
    maxUs: none ? 0 : histogram.maxValue,
  }
}
