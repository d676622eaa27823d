/**
 * What a worker measured, in a form that merges: service time, response time from the schedule, and lateness by cause.
 *
 * Service time is from sending to the answer. Response time is from when the schedule wanted the statement sent, so that a slow answer
 * is not hidden by the next statement going out late (no coordinated omission); without a schedule both are the same.
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'
import type { LatencyFacts, Spread } from '../../segment/run.js'
import type { Causes } from './job.js'

/** Between threads: histograms in HDR's own compressed form. */
export type Measured = {
  readonly service: string
  readonly response: string
  readonly lateness: string
  readonly causes: Causes
  readonly errors: Readonly<Record<string, number>>
  readonly statements: number
}

const US_MAX = 86_400_000_000
const NO_CAUSES: Causes = { orderUs: 0, connectionUs: 0, serverUs: 0, workerUs: 0 }

export class Measures {
  readonly #service = histogram()
  readonly #response = histogram()
  readonly #lateness = histogram()
  readonly #causes = { ...NO_CAUSES }
  readonly #errors = new Map<string, number>()
  #statements = 0

  add(dueUs: number, sentUs: number, doneUs: number, causes: Causes): void {
    this.#statements += 1
    record(this.#service, doneUs - sentUs)
    record(this.#response, doneUs - dueUs)
    record(this.#lateness, sentUs - dueUs)
    this.#causes.orderUs += causes.orderUs
    this.#causes.connectionUs += causes.connectionUs
    this.#causes.serverUs += causes.serverUs
    this.#causes.workerUs += causes.workerUs
  }

  error(sqlstate: string): void {
    this.#errors.set(sqlstate, (this.#errors.get(sqlstate) ?? 0) + 1)
  }

  result(): Measured {
    return {
      service: encodeIntoCompressedBase64(this.#service),
      response: encodeIntoCompressedBase64(this.#response),
      lateness: encodeIntoCompressedBase64(this.#lateness),
      causes: this.#causes,
      errors: Object.fromEntries(this.#errors),
      statements: this.#statements,
    }
  }
}

export function mergeMeasured(all: readonly Measured[]): Measured {
  const errors: Record<string, number> = {}
  for (const one of all)
    for (const [state, count] of Object.entries(one.errors)) errors[state] = (errors[state] ?? 0) + count
  const merged = (of: 'service' | 'response' | 'lateness') => {
    const whole = histogram()
    for (const one of all) whole.add(decodeFromCompressedBase64(one[of]))
    return encodeIntoCompressedBase64(whole)
  }
  const sum = (of: keyof Causes) => all.reduce((total, { causes }) => total + causes[of], 0)
  return {
    service: merged('service'),
    response: merged('response'),
    lateness: merged('lateness'),
    causes: {
      orderUs: sum('orderUs'),
      connectionUs: sum('connectionUs'),
      serverUs: sum('serverUs'),
      workerUs: sum('workerUs'),
    },
    errors,
    statements: all.reduce((total, { statements }) => total + statements, 0),
  }
}

/** As the run tells it: figures for people, and the histograms for whoever wants to merge them with others. */
export function latencyFacts({ service, response, lateness, causes }: Measured): LatencyFacts {
  return {
    service: { ...spread(service), hdr: service },
    response: { ...spread(response), hdr: response },
    lateness: { ...spread(lateness), hdr: lateness },
    latenessUs: {
      order: causes.orderUs,
      connection: causes.connectionUs,
      server: causes.serverUs,
      worker: causes.workerUs,
    },
  }
}

/** Without the histogram. */
export function spreadOf({ count, p50Us, p95Us, p99Us, p999Us, maxUs }: Spread): Spread {
  return { count, p50Us, p95Us, p99Us, p999Us, maxUs }
}

function spread(encoded: string): Spread {
  const whole = decodeFromCompressedBase64(encoded)
  const at = (percentile: number) => (whole.totalCount === 0 ? 0 : whole.getValueAtPercentile(percentile))
  return {
    count: whole.totalCount,
    p50Us: at(50),
    p95Us: at(95),
    p99Us: at(99),
    p999Us: at(99.9),
    maxUs: whole.totalCount === 0 ? 0 : whole.maxValue,
  }
}

function histogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: US_MAX, numberOfSignificantValueDigits: 3 })
}

function record(into: Histogram, us: number): void {
  into.recordValue(us < 0 ? 0 : us > US_MAX ? US_MAX : Math.round(us))
}
