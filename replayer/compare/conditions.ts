/** Of a run, what a reader of the diff needs to judge the measurement: how it was made, what made it late, what was let out or in. */
import type { RunConditions } from '../../segment/diff.js'
import type { RunFacts } from '../../segment/run.js'

const INCIDENTS_MAX = 50

/** Absent for production, which is no replay. */
export function conditionsOf(facts: RunFacts): RunConditions | undefined {
  if (facts.role === 'production') return undefined
  const { settings, latency, bottleneck, reenacted, cancelRequests, isolation, injections, incidents, start, locks } =
    facts
  const { speed, order, workers, readOnly, filter } = settings
  return {
    settings: { speed, order, workers, readOnly, ...(filter === undefined ? {} : { filter }) },
    ...(latency === undefined ? {} : { latenessUs: latency.latenessUs }),
    ...(bottleneck === undefined ? {} : { bottleneck }),
    ...(reenacted === undefined ? {} : { reenacted }),
    ...(cancelRequests === undefined ? {} : { cancelRequests }),
    ...(isolation === undefined ? {} : { isolation }),
    ...(injections === undefined ? {} : { injections }),
    ...(locks === undefined ? {} : { locks }),
    ...(start?.kind === 'within' ? { contained: start.contained } : {}),
    incidents: incidents.slice(0, INCIDENTS_MAX),
  }
}
