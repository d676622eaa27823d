/**
 * A run by seconds. A long run gets wider points, so that a day has no more of them than ten minutes.
 */
import { build, type Histogram } from 'hdr-histogram-js'
import type { TimelinePoint } from '../../segment/diff.js'
import type { RunRow } from '../../segment/run.js'

const POINTS_MAX = 600

type Bucket = { readonly service: Histogram; errors: number; latenessUs: number }

export class TimelineBuilder {
  #widthUs = 1_000_000
  #buckets = new Map<number, Bucket>()

  add({ timing, outcome }: RunRow): void {
    let at = Math.max(0, Math.floor(timing.sentUs / this.#widthUs))
    while (at >= POINTS_MAX) {
      this.#widen()
      at = Math.floor(timing.sentUs / this.#widthUs)
    }
    let bucket = this.#buckets.get(at)
    if (bucket === undefined) {
      bucket = newBucket()
      this.#buckets.set(at, bucket)
    }
    bucket.service.recordValue(Math.max(1, Math.round(timing.doneUs - timing.sentUs)))
    bucket.latenessUs += Math.max(0, timing.sentUs - timing.dueUs)
    if (outcome.error !== null) bucket.errors += 1
  }

  points(): readonly TimelinePoint[] {
    return [...this.#buckets]
      .sort(([a], [b]) => a - b)
      .map(([at, { service, errors, latenessUs }]) => ({
        atMs: (at * this.#widthUs) / 1000,
        statements: service.totalCount,
        errors,
        p50Ms: service.getValueAtPercentile(50) / 1000,
        p95Ms: service.getValueAtPercentile(95) / 1000,
        latenessMs: latenessUs / service.totalCount / 1000,
      }))
  }

  #widen(): void {
    const wider = new Map<number, Bucket>()
    for (const [at, bucket] of this.#buckets) {
      const into = wider.get(at >> 1)
      if (into === undefined) wider.set(at >> 1, bucket)
      else {
        into.service.add(bucket.service)
        into.errors += bucket.errors
        into.latenessUs += bucket.latenessUs
      }
    }
    this.#buckets = wider
    this.#widthUs *= 2
  }
}

function newBucket(): Bucket {
  return { service: build({ numberOfSignificantValueDigits: 2 }), errors: 0, latenessUs: 0 }
}
