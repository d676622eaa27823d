/**
 * Was the harness itself what made statements slow or late? Then its latencies are its own, and a verdict on them would be about us.
 */
import type { LatencyFacts } from '../../segment/run.js'

/** A worker this busy is late by itself, and reads answers late. */
const UTILISATION_MAX = 0.98
/** Lateness below this disturbs nobody. */
const LATE_P99_US = 10_000
/** Of all lateness, what our own threads may be the cause of. */
const OWN_SHARE_MAX = 0.5

/** A sentence, or null: it was not. */
export function bottleneckOf(utilisationMax: number, latency: LatencyFacts | null): string | null {
  if (utilisationMax > UTILISATION_MAX) {
    return `a worker was busy ${Math.round(utilisationMax * 100)} % of the time: answers waited to be read, and statements to be sent`
  }
  if (latency === null || latency.lateness.p99Us <= LATE_P99_US) return null
  const { order, connection, server, worker } = latency.latenessUs
  const all = order + connection + server + worker
  if (worker <= all * OWN_SHARE_MAX) return null
  return `statements were late by ${Math.round(latency.lateness.p99Us / 1000)} ms (p99), ${Math.round((100 * worker) / all)} % of it by the harness's own doing`
}
