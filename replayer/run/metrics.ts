/**
 * The figures of a running replay for Prometheus, collected when somebody asks. Counts and times only; nothing of the traffic.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { type ReplayStatus, SERVICE_BOUNDS_US } from './status.js'

type Values = number | Readonly<Record<string, number>>

type Figure = {
  readonly name: string
  readonly type: typeof Gauge | typeof Counter
  readonly help: string
  readonly value: (status: ReplayStatus) => Values
  /** Name of the label that tells the values of a record apart. */
  readonly by?: string
}

const PREFIX = 'pgrehearse_replay_'
const STATES = ['planning', 'connecting', 'replaying', 'finishing'] as const

const FIGURES: readonly Figure[] = [
  gauge('pass', 'Which pass of the recording this is.', ({ pass }) => pass),
  gauge('statements', 'Statements there are to replay, in all passes.', ({ statements }) => statements.total),
  counter(
    'statements_replayed_total',
    'Statements that were sent and answered.',
    ({ statements }) => statements.replayed,
  ),
  counter('statements_filtered_total', 'Statements left out by choice.', ({ statements }) => statements.filtered),
  counter('statements_not_sent_total', 'Statements skipped or lost.', ({ statements }) => statements.notSent),
  counter('errors_total', 'Statements that the server answered with an error.', ({ errors }) => errors),
  counter('order_relaxed_total', 'Statements sent early to end a standstill.', ({ orderRelaxed }) => orderRelaxed),
  gauge('statements_per_second', 'Statements that were over, in the last ten seconds.', ({ perSecond }) => perSecond),
  gauge('position_seconds', 'Recorded time of the furthest statement.', ({ positionUs }) => positionUs / 1e6),
  gauge('span_seconds', 'Recorded time of the last statement.', ({ spanUs }) => spanUs / 1e6),
  gauge('late_seconds_max', 'Lateness: the worst of the last moments.', ({ lateUsMax }) => lateUsMax / 1e6),
  counter(
    'late_seconds_total',
    'Lateness of all statements together, by cause.',
    ({ lateness }) => ({
      order: lateness.orderUs / 1e6,
      connection: lateness.connectionUs / 1e6,
      server: lateness.serverUs / 1e6,
      worker: lateness.workerUs / 1e6,
    }),
    'cause',
  ),
  gauge(
    'event_loop_utilisation',
    'Share of its last second in which a worker was busy.',
    ({ utilisation }) => Object.fromEntries(utilisation.map((share, worker) => [String(worker), share])),
    'worker',
  ),
  gauge('injected_backends', 'Backends of injections that run now.', ({ injected }) => injected),
]

/** null: it is being planned. */
export function metricsText(run: string, status: ReplayStatus | null): Promise<string> {
  const registry = new Registry()
  const state = new Gauge({
    name: `${PREFIX}state`,
    help: 'What the replay is doing: 1 for the state it is in.',
    labelNames: ['run', 'state'],
    registers: [registry],
  })
  for (const one of STATES) state.set({ run, state: one }, one === (status?.state ?? 'planning') ? 1 : 0)
  if (status === null) return registry.metrics()
  for (const { name, type, help, by, value } of FIGURES) {
    const labelNames = ['run', ...(by === undefined ? [] : [by])]
    const metric = new type({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] })
    const values = value(status)
    if (typeof values === 'number') metric.inc({ run }, values)
    else for (const [key, one] of Object.entries(values)) metric.inc({ run, [by ?? 'kind']: key }, one)
  }
  registry.registerMetric(serviceTimes(run, status) as never)
  return registry.metrics()
}

/** prom-client's own histogram can only observe; this one was counted by the workers. */
function serviceTimes(run: string, { service }: ReplayStatus): object {
  const name = `${PREFIX}service_seconds`
  let below = 0
  const buckets = service.counts.map((count, bucket) => {
    below += count
    const bound = SERVICE_BOUNDS_US[bucket]
    const le = bound === undefined ? '+Inf' : bound / 1e6
    return { labels: { run, le }, value: below, metricName: `${name}_bucket` }
  })
  return {
    name,
    get: async () => ({
      name,
      help: 'From sending a statement to its answer.',
      type: 'histogram',
      aggregator: 'sum',
      values: [
        ...buckets,
        { labels: { run }, value: service.sumUs / 1e6, metricName: `${name}_sum` },
        { labels: { run }, value: below, metricName: `${name}_count` },
      ],
    }),
  }
}

function gauge(name: string, help: string, value: Figure['value'], by?: string): Figure {
  return { name, type: Gauge, help, value, ...(by === undefined ? {} : { by }) }
}

function counter(name: string, help: string, value: Figure['value'], by?: string): Figure {
  return { ...gauge(name, help, value, by), type: Counter }
}
