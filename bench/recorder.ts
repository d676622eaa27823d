/**
 * What does recording cost? The same statements direct, through a bare forwarder (the least a proxy in Node can cost: the recorder's
 * own sockets and nothing else), through PgBouncer in session mode where it is installed, and through the recorder, in turns within
 * one run, so that a busy machine is busy for all of them. What is compared is always of the same round; the spread over the rounds
 * says how much it means. Processor time a statement, of the thread that forwards, hardly depends on what else the machine does.
 *
 * The recorder masks and writes real rows the whole time. `node dist/bench/recorder.js [--json] [--out FILE]`; `--seconds N` per
 * turn, `--rounds N`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import pg from 'pg'
import { workerFile } from '../base/worker-file.js'
import { readKey } from '../privacy/key.js'
import { EMPTY_POLICY } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import { quickSocket } from '../recorder/tap/quick-socket.js'
import { startServer } from '../replayer/shadow/server.js'
import { startPgBouncer } from './pgbouncer.js'
import type { Measured, Round } from './recorder-client.js'

const SQL = 'SELECT id, email, full_name, city, note FROM users WHERE id = $1'
/** How Linux counts processor time. */
const TICK_US = 10_000
const WAYS = ['direct', 'forwarder', 'pgbouncer', 'recorder'] as const
type Way = (typeof WAYS)[number]
/** With the processor time of a statement; NaN where it is not known. */
type Turn = Measured & { readonly cpuUs: number }
type Rounds = Partial<Record<Way, Turn[]>>

type Options = {
  readonly json: boolean
  readonly out: string | undefined
  readonly seconds: number
  readonly rounds: number
}

async function main({ json, out, seconds, rounds }: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
  const server = await startServer()
  const url = server.url()
  await load(url)
  const forwarder = await forward(server.port)
  const pgbouncer = await startPgBouncer(folder, url)
  const recorder = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: url,
    out: join(folder, 'recording'),
    key: readKey('00'.repeat(32)),
    policy: EMPTY_POLICY,
    madeBy: 'pgrehearse bench',
  })
  const ports: Partial<Record<Way, number>> = {
    direct: server.port,
    forwarder: forwarder.port,
    ...(pgbouncer === null ? {} : { pgbouncer: pgbouncer.port }),
    recorder: recorder.port,
  }
  const ways = WAYS.filter((way) => ports[way] !== undefined)
  const client = new Worker(workerFile(import.meta.url, './recorder-client.js'))
  const pids: Partial<Record<Way, number>> = {
    forwarder: process.pid,
    recorder: process.pid,
    ...(pgbouncer === null ? {} : { pgbouncer: pgbouncer.pid }),
  }
  const measure = async (way: Way, clients: number): Promise<Turn> => {
    const target = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(ports[way]) }).toString()
    const before = processorUs(pids[way])
    client.postMessage({ url: target, sql: SQL, clients, ms: seconds * 1000 } satisfies Round)
    const measured = await new Promise<Measured>((resolve) => client.once('message', resolve))
    return { ...measured, cpuUs: (processorUs(pids[way]) - before) / measured.statements }
  }
  const say = (text: string) => {
    if (!json) console.log(text)
  }

  const loadBefore = loadavg()[0]!
  say(`${cpus().length} cores, load ${loadBefore.toFixed(1)}, ${pgbouncer?.version ?? 'PgBouncer is not installed'}`)
  const results: Record<string, unknown> = {}
  for (const clients of [1, 8]) {
    const measured: Rounds = {}
    for (const way of ways) await measure(way, clients)
    for (let round = 0; round < rounds; round++) {
      // Whoever comes first in one round comes later in the next.
      for (let i = 0; i < ways.length; i++) {
        const way = ways[(i + round) % ways.length]!
        measured[way] = [...(measured[way] ?? []), await measure(way, clients)]
      }
    }
    const figures = Object.fromEntries(ways.map((way) => [way, figuresOf(way, measured, seconds)]))
    results[`clients ${clients}`] = figures
    for (const way of ways) say(`${clients} client${clients > 1 ? 's' : ' '}  ${line(way, figures[way]!)}`)
  }
  await client.terminate()
  const manifest = await recorder.stop()
  const { ring } = recorder.status()
  const { kept, lost } = manifest!.ledger
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? '', loadBefore, loadAfter: loadavg()[0]! }
  const result = {
    at: new Date().toISOString(),
    machine,
    pgbouncer: pgbouncer?.version ?? null,
    results,
    kept,
    lost,
    ring,
  }
  if (out !== undefined) writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`)
  if (json) console.log(JSON.stringify(result))
  say(`recorded ${kept.statements} statements, lost ${JSON.stringify(lost)}; ring at most ${ring.usedBytesMax} bytes`)
  forwarder.server.close()
  await pgbouncer?.stop()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

/** Over the rounds. */
type Spread = { readonly median: number; readonly min: number; readonly max: number }
type Figures = {
  readonly perSecond: Spread
  readonly p50Us: Spread
  readonly p99Us: Spread
  /** Of the thread that forwards; null where the system does not tell. */
  readonly cpuUs: Spread | null
  /** Each round against the same round of another way. */
  readonly addedP50Us: Spread
  readonly addedP99Us: Spread
  readonly throughputToDirect: Spread
  readonly throughputToPgbouncer: Spread | null
}

function figuresOf(way: Way, measured: Rounds, seconds: number): Figures {
  const own = measured[way]!
  const direct = measured.direct!
  const { pgbouncer } = measured
  const spread = (of: (round: Turn, i: number) => number) => spreadOf(own.map(of))
  return {
    perSecond: spread(({ statements }) => Math.round(statements / seconds)),
    p50Us: spread(({ p50Us }) => p50Us),
    p99Us: spread(({ p99Us }) => p99Us),
    cpuUs: own.every(({ cpuUs }) => cpuUs > 0) ? spread(({ cpuUs }) => Math.round(cpuUs * 10) / 10) : null,
    addedP50Us: spread(({ p50Us }, i) => p50Us - direct[i]!.p50Us),
    addedP99Us: spread(({ p99Us }, i) => p99Us - direct[i]!.p99Us),
    throughputToDirect: spread(({ statements }, i) => ratio(statements, direct[i]!.statements)),
    throughputToPgbouncer: pgbouncer
      ? spread(({ statements }, i) => ratio(statements, pgbouncer[i]!.statements))
      : null,
  }
}

function ratio(a: number, b: number): number {
  return Math.round((100 * a) / b) / 100
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: sorted[sorted.length >> 1]!, min: sorted[0]!, max: sorted.at(-1)! }
}

function line(way: Way, figures: Figures): string {
  const { perSecond, p50Us, p99Us, cpuUs, addedP50Us, addedP99Us, throughputToDirect, throughputToPgbouncer } = figures
  const shown = ({ median, min, max }: Spread) => `${median} (${min}…${max})`
  const parts = [way.padEnd(10), `${shown(perSecond)}/s`, `p50 ${p50Us.median} µs`, `p99 ${p99Us.median} µs`]
  if (way !== 'direct') {
    parts.push(
      `${shown(throughputToDirect)} × direct`,
      `${shown(addedP50Us)} µs more at p50`,
      `${shown(addedP99Us)} µs at p99`,
    )
  }
  if (cpuUs !== null) parts.push(`${shown(cpuUs)} µs of the processor`)
  if (way !== 'direct' && way !== 'pgbouncer' && throughputToPgbouncer !== null)
    parts.push(`${shown(throughputToPgbouncer)} × PgBouncer`)
  return parts.join('  ')
}

async function load(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('CREATE TABLE users (id int PRIMARY KEY, email text, full_name text, city text, note text)')
  await client.query(`INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Person ' || i, 'City ' || i % 50,
    repeat('note ', 10) FROM generate_series(1, 1000) i`)
  await client.end()
}

/** What the thread that forwards has had of the processor; NaN where /proc does not say. */
function processorUs(pid: number | undefined): number {
  if (pid === undefined) return Number.NaN
  try {
    const [user, system] = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8')
      .split(') ')[1]!
      .split(' ')
      .slice(11, 13)
    return (Number(user) + Number(system)) * TICK_US
  } catch {
    return Number.NaN
  }
}

function forward(port: number): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const asked = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true })
    asked.once('connect', () => splice(accepted, asked))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as { port: number }).port }))
  })
}

/** The recorder's sockets, and not a byte looked at. */
function splice(accepted: Socket, asked: Socket): void {
  let [down, up] = [accepted, asked]
  down = quickSocket(
    down,
    (piece) => up.write(piece),
    () => up.writableLength > 0,
  )!.socket
  up = quickSocket(
    up,
    (piece) => down.write(piece),
    () => down.writableLength > 0,
  )!.socket
  for (const [from, to] of [
    [down, up],
    [up, down],
  ] as const) {
    from.on('close', () => to.destroy())
    from.on('end', () => to.end())
    from.on('error', () => to.destroy())
    from.resume()
  }
}

const optionOf = (option: string) => {
  const at = process.argv.indexOf(option)
  return at < 0 ? undefined : process.argv[at + 1]
}
await main({
  json: process.argv.includes('--json'),
  out: optionOf('--out'),
  seconds: Number(optionOf('--seconds') ?? 1),
  rounds: Number(optionOf('--rounds') ?? 5),
})
