/**
 * What does recording cost? The same statements direct, through a bare forwarder (the least a proxy in Node can cost: the recorder's
 * own sockets and nothing else), through PgBouncer in session mode where it is installed, and through the recorder, in turns within
 * one run, so that a busy machine is busy for all of them. What is compared is always of the same round; the spread over the rounds
 * says how much it means. Processor time a statement, of the thread that forwards, hardly depends on what else the machine does.
 *
 * The recorder masks and writes real rows the whole time; its circuit breaker is off, so nothing ends that. Before another way has
 * its turn the ring is drained: what the recorder has put off is not to be paid by the others. `beside` is what its other threads took
 * a statement, the drain above all, to the end of that.
 *
 * `node dist/bench/recorder.js [--json] [--out FILE]`; `--seconds N` per turn of eight clients, `--rounds N`. One client has shorter turns
 * and more of them: the 99th percentile is to be compared between neighbours.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { workerFile } from '../base/worker-file.js'
import { readKey } from '../privacy/key.js'
import { EMPTY_POLICY } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import type { ProxyRecording } from '../recorder/proxy-recording.js'
import { startServer } from '../replayer/shadow/server.js'
import { startForwarder } from './forwarder.js'
import { startPgBouncer } from './pgbouncer.js'
import { firstThreadUs, ownUs } from './processor.js'
import type { Order, Turn } from './recorder-client.js'
import { type Figures, figuresOf, line, type Measured, type Rounds, WAYS, type Way } from './recorder-figures.js'

const SQL = 'SELECT id, email, full_name, city, note FROM users WHERE id = $1'
const ROWS = 1000
const ONE_CLIENT_MS = 250
/** For one turn of eight clients. */
const ONE_CLIENT_TURNS = 6
const SETTLE_MS = 5

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
  const forwarder = await startForwarder(server.port)
  const pgbouncer = await startPgBouncer(folder, url)
  const recorder = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: url,
    out: join(folder, 'recording'),
    key: readKey('00'.repeat(32)),
    policy: EMPTY_POLICY,
    thresholds: {},
    madeBy: 'pgrehearse bench',
  })
  const ports: Record<Way, number | undefined> = {
    direct: server.port,
    forwarder: forwarder.port,
    pgbouncer: pgbouncer?.port,
    recorder: recorder.port,
  }
  const pids: Partial<Record<Way, number>> = {
    forwarder: process.pid,
    recorder: process.pid,
    ...(pgbouncer === null ? {} : { pgbouncer: pgbouncer.pid }),
  }
  const ways = WAYS.filter((way) => ports[way] !== undefined)
  const client = fork(workerFile(import.meta.url, './recorder-client.js'), { serialization: 'advanced' })
  const say = (text: string) => {
    if (!json) console.log(text)
  }

  const measure = async (way: Way, ms: number): Promise<Measured> => {
    const pid = pids[way]
    const [before, allBefore] = [pid === undefined ? Number.NaN : firstThreadUs(pid), ownUs()]
    const turn = await told(client, { kind: 'run', way, ms })
    const { latenciesUs } = turn!
    const forwarded = pid === undefined ? Number.NaN : firstThreadUs(pid) - before
    if (way === 'recorder') await drained(recorder)
    const beside = way === 'recorder' ? ownUs() - allBefore - (firstThreadUs(pid!) - before) : Number.NaN
    return { ...turn!, cpuUs: forwarded / latenciesUs.length, besideUs: beside / latenciesUs.length }
  }

  const play = async (clients: number, turns: number, ms: number): Promise<Record<string, Figures>> => {
    const measured: Rounds = {}
    for (const way of ways) {
      const target = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(ports[way]) }).toString()
      await told(client, { kind: 'open', way, url: target, sql: SQL, clients, ids: ROWS })
    }
    for (const way of ways) await measure(way, Math.max(ms, 500))
    for (let round = 0; round < turns; round++) {
      // Whoever comes first in one round comes later in the next.
      for (let i = 0; i < ways.length; i++) {
        const way = ways[(i + round) % ways.length]!
        measured[way] = [...(measured[way] ?? []), await measure(way, ms)]
      }
    }
    await told(client, { kind: 'close' })
    const figures = Object.fromEntries(ways.map((way) => [way, figuresOf(way, measured)]))
    for (const way of ways) say(`${clients} client${clients > 1 ? 's' : ' '}  ${line(way, figures[way]!)}`)
    return figures
  }

  const loadBefore = loadavg()[0]!
  say(`${cpus().length} cores, load ${loadBefore.toFixed(1)}, ${pgbouncer?.version ?? 'PgBouncer is not installed'}`)
  const results = {
    'clients 1': await play(1, rounds * ONE_CLIENT_TURNS, ONE_CLIENT_MS),
    'clients 8': await play(8, rounds, seconds * 1000),
  }
  client.disconnect()
  const manifest = await recorder.stop()
  const { ring, held } = recorder.status()
  const { kept, lost } = manifest!.ledger
  const loadAfter = loadavg()[0]!
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? '', node: process.version, loadBefore, loadAfter }
  const at = new Date().toISOString()
  const result = { at, machine, pgbouncer: pgbouncer?.version ?? null, results, kept, lost, ring, held }
  if (out !== undefined) writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`)
  if (json) console.log(JSON.stringify(result))
  say(`load ${loadAfter.toFixed(1)}; recorded ${kept.statements} statements, lost ${JSON.stringify(lost)}`)
  say(`ring at most ${ring.usedBytesMax} bytes; a chunk is held ${held.p50Us} µs at p50, ${held.p99Us} µs at p99`)
  forwarder.close()
  await pgbouncer?.stop()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function told(client: ChildProcess, order: Order): Promise<Turn | null> {
  client.send(order)
  const [answer] = await once(client, 'message')
  return answer as Turn | null
}

async function drained(recorder: ProxyRecording): Promise<void> {
  while (recorder.status().ring.usedBytes > 0) await sleep(SETTLE_MS)
}

async function load(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('CREATE TABLE users (id int PRIMARY KEY, email text, full_name text, city text, note text)')
  await client.query(`INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Person ' || i, 'City ' || i % 50,
    repeat('note ', 10) FROM generate_series(1, ${ROWS}) i`)
  await client.end()
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
