/**
 * How long does `kill` take? From the moment somebody asks (control socket, SIGUSR2, the kill file) to the moment when nothing records
 * any more, under traffic, and once more while the disk stands still. The recorder is a program of its own; what clients see meanwhile
 * is counted.
 *
 * `node dist/bench/kill.js [--json]`; `--rounds N` of each, `--clients N`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import pg from 'pg'
import { askControl } from '../recorder/control.js'
import { startServer } from '../replayer/shadow/server.js'

const MAIN = fileURLToPath(new URL('../cli/main.js', import.meta.url))
const GOAL_MS = 50

type Running = { readonly child: ChildProcess; readonly url: string; readonly said: (text: string) => Promise<number> }
type Way = { readonly name: string; readonly slowDisk?: boolean; ask(running: Running, folder: string): void }

const WAYS: readonly Way[] = [
  { name: 'control socket', ask: (_, folder) => void askControl(join(folder, 'rec.control'), 'kill') },
  { name: 'SIGUSR2', ask: ({ child }) => void child.kill('SIGUSR2') },
  { name: 'kill file', ask: (_, folder) => writeFileSync(join(folder, 'rec.kill'), '') },
  {
    name: 'control socket, the disk stands still',
    slowDisk: true,
    ask: (_, folder) => void askControl(join(folder, 'rec.control'), 'kill'),
  },
]

type Figures = { readonly way: string; readonly tookMs: readonly number[]; readonly errors: number }

async function main({ json, rounds, clients }: { json: boolean; rounds: number; clients: number }): Promise<void> {
  const server = await startServer()
  const figures: Figures[] = []
  const loadBefore = loadavg()[0]!
  for (const way of WAYS) {
    const tookMs: number[] = []
    let errors = 0
    for (let round = 0; round < rounds; round++) {
      const one = await killed(way, server.url(), clients)
      tookMs.push(Math.round(one.tookMs * 10) / 10)
      errors += one.errors
    }
    figures.push({ way: way.name, tookMs: tookMs.sort((a, b) => a - b), errors })
    if (!json) console.log(line(figures.at(-1)!))
  }
  await server.stop()
  if (json) console.log(JSON.stringify({ cores: cpus().length, loadBefore, loadAfter: loadavg()[0]!, figures }))
  else
    console.log(
      `${cpus().length} cores, load ${loadBefore.toFixed(1)} to ${loadavg()[0]!.toFixed(1)}, ${clients} clients`,
    )
}

function line({ way, tookMs, errors }: Figures): string {
  const within = tookMs.filter((ms) => ms <= GOAL_MS).length
  const spread = `${tookMs[tookMs.length >> 1]} ms (${tookMs[0]}…${tookMs.at(-1)})`
  return `${way}: ${spread}, ${within} of ${tookMs.length} within ${GOAL_MS} ms; ${errors} errors of clients`
}

async function killed(way: Way, upstream: string, clients: number): Promise<{ tookMs: number; errors: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-kill-'))
  const running = await start(upstream, folder)
  let goOn = true
  let errors = 0
  let statements = 0
  const traffic = Array.from({ length: clients }, async () => {
    const client = new pg.Client(running.url)
    client.on('error', () => {})
    await client.connect()
    while (goOn) {
      try {
        await client.query('SELECT i, repeat($1, 100) FROM generate_series(1, 20) i', ['x'])
        statements += 1
      } catch {
        errors += 1
        goOn = false
      }
    }
    await client.end().catch(() => {})
  })
  const until = async (enough: number) => {
    while (goOn && statements < enough) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await until(200)
  // Something is in a segment by then.
  while ((await askControl(join(folder, 'rec.control'), 'status')).statementsKept === 0);
  const held = way.slowDisk === true ? holdDisk(folder) : null
  if (held !== null) await until(statements + 300)
  const over = running.said('recorder: killed;')
  const askedAtMs = performance.now()
  way.ask(running, folder)
  const tookMs = (await over) - askedAtMs
  held?.close()
  // They go on as if nothing had happened.
  await until(statements + 200)
  goOn = false
  await Promise.all(traffic)
  const ended = new Promise((resolve) => running.child.once('exit', resolve))
  running.child.kill('SIGTERM')
  await ended
  rmSync(folder, { recursive: true, force: true })
  return { tookMs, errors }
}

/** As long as this is open, the recorder's own write waits inside of SQLite, as it would for a disk. */
function holdDisk(folder: string): Database.Database {
  const segments = join(folder, 'rec', 'segments')
  const open = new Database(join(segments, readdirSync(segments).find((name) => name.endsWith('.open'))!))
  open.exec('BEGIN IMMEDIATE')
  return open
}

async function start(upstream: string, folder: string): Promise<Running> {
  const out = ['--out', join(folder, 'rec'), '--breaker', 'off']
  const args = [MAIN, 'record', 'proxy', '--listen', '127.0.0.1:0', '--upstream', upstream, ...out]
  const env = { ...process.env, PGREHEARSE_KEY: '00'.repeat(32) }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  const waiting = new Map<string, (atMs: number) => void>()
  child.stderr.on('data', (text) => {
    const atMs = performance.now()
    stderr += text
    for (const [wanted, tell] of waiting) if (stderr.includes(wanted)) tell(atMs)
  })
  const said = (text: string) => new Promise<number>((resolve) => waiting.set(text, resolve))
  await said('recording 127.0.0.1:')
  const port = /recording 127\.0\.0\.1:(\d+)/.exec(stderr)![1]!
  return { child, said, url: String(Object.assign(new URL(upstream), { hostname: '127.0.0.1', port })) }
}

const numberOf = (option: string, usual: number) => {
  const at = process.argv.indexOf(option)
  return at < 0 ? usual : Number(process.argv[at + 1])
}
await main({
  json: process.argv.includes('--json'),
  rounds: numberOf('--rounds', 5),
  clients: numberOf('--clients', 4),
})
