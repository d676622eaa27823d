/**
 * The figures of running recordings for Prometheus, in its text format: the same ones `record status --json` shows. Counts of
 * values only; nothing of the traffic.
 *
 * The format is a few lines of text and these are a dozen figures that exist already, so they are written here by hand; a client
 * library would keep a second copy of each.
 */
import { createServer } from 'node:http'
import { HarnessError } from '../base/errors.js'
import type { ProxyStatus } from './proxy.js'

type Metric = {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly value: (status: ProxyStatus) => number | Readonly<Record<string, number>>
  /** Name of the label that tells the values of a record apart. */
  readonly by?: string
}

const STATES = [
  'recording',
  'paused',
  'stopping',
  'sealed',
  'killed',
  'failed',
] as const satisfies ProxyStatus['state'][]

const METRICS: readonly Metric[] = [
  {
    name: 'state',
    type: 'gauge',
    help: 'What the recorder is doing: 1 for the state it is in.',
    by: 'state',
    value: ({ state }) => Object.fromEntries(STATES.map((one) => [one, one === state ? 1 : 0])),
  },
  gauge('connections', 'Open client connections.', (status) => status.connections),
  counter('statements_seen_total', 'Statements that came by.', (status) => status.statementsSeen),
  counter('statements_kept_total', 'Statements that were written.', (status) => status.statementsKept),
  counter('statements_lost_total', 'Statements that should have been written and were not.', (status) => {
    return status.statementsLost
  }),
  {
    name: 'statements_passed_total',
    type: 'counter',
    help: 'Statements that passed unrecorded, by reason.',
    by: 'reason',
    value: ({ passed }) => passed,
  },
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
]

export function metricsText(statuses: readonly ProxyStatus[]): string {
  return METRICS.flatMap(({ name, type, help, by, value }) => [
    `# HELP pgrehearse_recorder_${name} ${help}`,
    `# TYPE pgrehearse_recorder_${name} ${type}`,
    ...statuses.flatMap((status) => {
      const values = value(status)
      const line = (labels: Readonly<Record<string, string>>, one: number) =>
        `pgrehearse_recorder_${name}{${labelsText({ recording: status.path, ...labels })}} ${one}`
      if (typeof values === 'number') return [line({}, values)]
      return Object.entries(values).map(([key, one]) => line({ [by ?? 'kind']: key }, one))
    }),
  ])
    .concat('')
    .join('\n')
}

/** Answers GET /metrics. */
export async function serveMetrics(
  address: { readonly host: string; readonly port: number },
  statuses: () => readonly ProxyStatus[],
): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(metricsText(statuses()))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(cannotServe(address, cause)))
    server.listen(address, resolve)
  })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function gauge(name: string, help: string, value: Metric['value']): Metric {
  return { name, type: 'gauge', help, value }
}

function counter(name: string, help: string, value: Metric['value']): Metric {
  return { name, type: 'counter', help, value }
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`)
    .join(',')
}

function cannotServe(address: { readonly host: string; readonly port: number }, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'METRICS_ADDRESS',
    message: `cannot serve metrics at ${address.host}:${address.port}`,
    detail: `${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}.`,
    hint: 'Choose another address with --metrics.',
    cause,
  })
}
