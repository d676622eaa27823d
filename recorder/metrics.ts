/**
 * The figures of running recordings for Prometheus: the same ones `record status --json` shows, collected when somebody asks. Counts
 * of values only; nothing of the traffic.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { type MetricsServer, serveText } from '../base/metrics-server.js'
import { VITAL_NAMES } from './guard/vitals.js'
import { PROXY_STATES, type ProxyStatus } from './status.js'

type Values = number | Readonly<Record<string, number>>

type Metric = {
  readonly name: string
  readonly type: typeof Gauge | typeof Counter
  readonly help: string
  readonly value: (status: ProxyStatus) => Values
  /** Name of the label that tells the values of a record apart. */
  readonly by?: string
}

const PREFIX = 'pgrehearse_recorder_'

const METRICS: readonly Metric[] = [
  gauge(
    'state',
    'What the recorder is doing: 1 for the state it is in.',
    ({ state }) => oneOf(PROXY_STATES, state),
    'state',
  ),
  gauge('connections', 'Open client connections.', (status) => status.connections),
  counter('statements_seen_total', 'Statements that came by.', (status) => status.statementsSeen),
  counter('statements_kept_total', 'Statements that were written.', (status) => status.statementsKept),
  counter('statements_lost_total', 'Statements that should have been written and were not.', (status) => {
    return status.statementsLost
  }),
  counter('statements_filtered_total', 'Statements that were understood and left out by choice.', (status) => {
    return status.statementsFiltered
  }),
  counter('statements_passed_total', 'Statements that passed unrecorded, by reason.', ({ passed }) => passed, 'reason'),
  counter('transactions_kept_total', 'Transactions that were written.', (status) => status.transactionsKept),
  counter('transactions_lost_total', 'Transactions that should have been written and were not.', (status) => {
    return status.transactionsLost
  }),
  counter('sessions_broken_total', 'Sessions whose bytes were not the protocol.', (status) => status.sessionsBroken),
  counter('written_bytes_total', 'Bytes of the recording.', (status) => status.recordingBytes),
  gauge('statements_per_second', 'Statements seen, over the last ten seconds.', ({ rates }) => {
    return rates.statementsPerSecond
  }),
  gauge('written_bytes_per_second', 'Bytes written, over the last ten seconds.', ({ rates }) => rates.bytesPerSecond),
  gauge('drain_lag_seconds', 'How far writing is behind the traffic.', ({ drainLagMs }) => drainLagMs / 1000),
  gauge('ring_used_bytes', 'Memory between traffic and recording that is in use.', ({ ring }) => ring.usedBytes),
  gauge('ring_used_bytes_max', 'The most of it that ever was.', ({ ring }) => ring.usedBytesMax),
  gauge('ring_size_bytes', 'All of it.', ({ ring }) => ring.sizeBytes),
  gauge(
    'held_seconds',
    'How long a chunk of traffic is held in the recorder, by quantile.',
    ({ held }) => ({ '0.5': held.p50Us / 1e6, '0.99': held.p99Us / 1e6 }),
    'quantile',
  ),
  counter('breaker_trips_total', 'How often the circuit breaker tripped.', ({ breaker }) => breaker.trips),
  gauge(
    'breaker_tripped',
    'Which vital holds the circuit breaker: 1 for that one.',
    ({ breaker }) => oneOf(VITAL_NAMES, breaker.trippedBy),
    'vital',
  ),
  gauge('vital', 'What the circuit breaker sees: shares, milliseconds, bytes, times.', vitals('readings'), 'vital'),
  gauge('vital_threshold', 'Where it trips, in the same units.', vitals('thresholds'), 'vital'),
]

export function metricsText(statuses: readonly ProxyStatus[]): Promise<string> {
  const registry = new Registry()
  for (const { name, type, help, by, value } of METRICS) {
    const labelNames = ['recording', ...(by === undefined ? [] : [by])]
    const metric = new type({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] })
    for (const status of statuses) {
      const values = value(status)
      if (typeof values === 'number') metric.inc({ recording: status.path }, values)
      else
        for (const [key, one] of Object.entries(values))
          metric.inc({ recording: status.path, [by ?? 'kind']: key }, one)
    }
  }
  return registry.metrics()
}

/** Answers GET /metrics. */
export function serveMetrics(
  address: { readonly host: string; readonly port: number },
  statuses: () => readonly ProxyStatus[],
): Promise<MetricsServer> {
  return serveText(address, () => metricsText(statuses()))
}

function gauge(name: string, help: string, value: Metric['value'], by?: string): Metric {
  return { name, type: Gauge, help, value, ...(by === undefined ? {} : { by }) }
}

function counter(name: string, help: string, value: Metric['value'], by?: string): Metric {
  return { ...gauge(name, help, value, by), type: Counter }
}

function oneOf(all: readonly string[], which: string | null): Record<string, number> {
  return Object.fromEntries(all.map((one) => [one, one === which ? 1 : 0]))
}

function vitals(which: 'readings' | 'thresholds'): Metric['value'] {
  return ({ breaker }) => ({ ...breaker[which] })
}
