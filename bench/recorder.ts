/**
 * What does recording cost? The same statements direct, through a bare forwarder (the least a proxy in Node can cost), and
 * through the recorder, in turns within one run, so that a busy machine is busy for all of them.
 *
 * The recorder masks and writes real rows the whole time. `node dist/bench/recorder.js [--json]`, `--seconds N` per round.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import pg from 'pg'
import { workerFile } from '../base/worker-file.js'
import { readKey } from '../privacy/key.js'
import { EMPTY_POLICY } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import { startServer } from '../replayer/shadow/server.js'
import type { Measured, Round } from './recorder-client.js'

const SQL = 'SELECT id, email, full_name, city, note FROM users WHERE id = $1'
const WAYS = ['direct', 'forwarder', 'recorder'] as const
type Way = (typeof WAYS)[number]

async function main(json: boolean, seconds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
  const server = await startServer()
  const url = server.url()
  await load(url)
  const forwarder = await forward(server.port)
  const recorder = await startProxyRecording({
    listen: { host: '127.0.0.1', port: 0 },
    upstream: url,
    out: join(folder, 'recording'),
    key: readKey('00'.repeat(32)),
    policy: EMPTY_POLICY,
    madeBy: 'pgrehearse bench',
  })
  const ports: Record<Way, number> = { direct: server.port, forwarder: forwarder.port, recorder: recorder.port }
  const client = new Worker(workerFile(import.meta.url, './recorder-client.js'))
  const measure = async (way: Way, clients: number): Promise<Measured> => {
    const target = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(ports[way]) }).toString()
    client.postMessage({ url: target, sql: SQL, clients, ms: seconds * 1000 } satisfies Round)
    return new Promise((resolve) => client.once('message', resolve))
  }

  const results: Record<string, unknown> = {}
  for (const clients of [1, 8]) {
    const rounds: Record<Way, Measured[]> = { direct: [], forwarder: [], recorder: [] }
    for (const way of WAYS) await measure(way, clients)
    for (let round = 0; round < 5; round++) {
      for (const way of WAYS) rounds[way].push(await measure(way, clients))
    }
    const medians = Object.fromEntries(WAYS.map((way) => [way, medianOf(rounds[way], seconds)]))
    results[`clients ${clients}`] = medians
    if (json) continue
    const direct = medians.direct!
    for (const way of WAYS) {
      const { p50Us, p99Us, perSecond } = medians[way]!
      const added = `+${p50Us - direct.p50Us} µs p50, +${p99Us - direct.p99Us} µs p99`
      console.log(
        `${clients} client${clients > 1 ? 's' : ' '}  ${way.padEnd(10)} ${String(perSecond).padStart(7)}/s  ` +
          `${(perSecond / direct.perSecond).toFixed(2)} × direct  p50 ${p50Us} µs  p99 ${p99Us} µs  ${way === 'direct' ? '' : added}`,
      )
    }
  }
  await client.terminate()
  const manifest = await recorder.stop()
  const { ring } = recorder.status()
  const { kept, lost } = manifest!.ledger
  if (json) console.log(JSON.stringify({ results, kept, lost, ring }))
  else
    console.log(
      `recorded ${kept.statements} statements, lost ${JSON.stringify(lost)}; ring at most ${ring.usedBytesMax} bytes`,
    )
  forwarder.server.close()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

type Figures = { readonly p50Us: number; readonly p99Us: number; readonly perSecond: number }

function medianOf(rounds: readonly Measured[], seconds: number): Figures {
  const median = (of: (round: Measured) => number) => rounds.map(of).sort((a, b) => a - b)[rounds.length >> 1]!
  return {
    p50Us: median((round) => round.p50Us),
    p99Us: median((round) => round.p99Us),
    perSecond: Math.round(median((round) => round.statements) / seconds),
  }
}

async function load(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('CREATE TABLE users (id int PRIMARY KEY, email text, full_name text, city text, note text)')
  await client.query(`INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Person ' || i, 'City ' || i % 50,
    repeat('note ', 10) FROM generate_series(1, 1000) i`)
  await client.end()
}

function forward(port: number): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true }, (down) => {
    const up = connect({ host: '127.0.0.1', port, noDelay: true })
    down.on('data', (chunk) => up.write(chunk))
    up.on('data', (chunk) => down.write(chunk))
    down.on('close', () => up.destroy())
    up.on('close', () => down.destroy())
    down.on('error', () => up.destroy())
    up.on('error', () => down.destroy())
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as { port: number }).port }))
  })
}

const seconds = process.argv.indexOf('--seconds')
await main(process.argv.includes('--json'), seconds < 0 ? 1 : Number(process.argv[seconds + 1]))
