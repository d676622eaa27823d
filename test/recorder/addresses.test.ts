import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { metricsText, serveMetrics } from '../../recorder/metrics.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, read, through } from './recording.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

let db: TestDatabase
let at: Bench
let folder: string
let child: ChildProcess | null = null
beforeEach(async () => {
  db = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)')
  at = bench()
  folder = mkdtempSync(join(tmpdir(), 'pgr-'))
})
afterEach(async () => {
  child?.kill('SIGKILL')
  child = null
  at.remove()
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

/** The same database, by the socket in this folder. */
function bySocket(folder: string, port: number | string): string {
  const { username, password, pathname } = new URL(db.url)
  return `postgresql://${username}:${password}@${pathname}?host=${encodeURIComponent(folder)}&port=${port}`
}

async function one(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return Object.values((await client.query(sql)).rows[0])
  } finally {
    await client.end()
  }
}

describe('Unix sockets', () => {
  test('clients come by a socket and a port into the same recording; the server is reached by its socket', async () => {
    const directories = await db.query('SHOW unix_socket_directories')
    const upstream = bySocket(directories.rows[0].unix_socket_directories, new URL(db.url).port)
    const path = join(folder, '.s.PGSQL.6432')
    const recording = await at.start(upstream, { listen: [{ path }, { host: '127.0.0.1', port: 0 }] })
    // The server sees a local connection: it came by the socket.
    expect(await one(bySocket(folder, 6432), 'SELECT inet_client_addr()')).toEqual([null])
    expect(await one(through(db.url, recording), 'SELECT inet_client_addr()')).toEqual([null])
    await recording.stop()
    expect(existsSync(path)).toBe(false)
    const { statements, sessions } = read(recording.path)
    expect(sessions).toHaveLength(2)
    expect(statements).toHaveLength(2)
  })

  test('a socket that a crash left behind is replaced, one that somebody answers at is not', async () => {
    const path = join(folder, '.s.PGSQL.6432')
    const crashed = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
    ])
    await new Promise((resolve) => crashed.stdout.once('data', resolve))
    await expect(at.start(db.url, { listen: { path } })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    crashed.kill('SIGKILL')
    await new Promise((resolve) => crashed.once('exit', resolve))
    expect(existsSync(path)).toBe(true)
    const recording = await at.start(db.url, { listen: { path } })
    expect(await one(bySocket(folder, 6432), 'SELECT 1')).toEqual([1])
    expect(recording.status()).toMatchObject({ port: 0, listen: [path] })
    await recording.stop()
  })

  test('a file that is no socket stays', async () => {
    const path = join(folder, 'precious')
    writeFileSync(path, 'mine')
    await expect(at.start(db.url, { listen: { path } })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    expect(existsSync(path)).toBe(true)
  })

  test('it listens at all addresses or at none', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const path = join(folder, '.s.PGSQL.6432')
    const listen = [{ path }, { host: '127.0.0.1', port }]
    await expect(at.start(db.url, { listen })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    expect(existsSync(path)).toBe(false)
    taken.close()
  })

  test('the server itself is no address to listen at', async () => {
    const upstream = bySocket(folder, 6432)
    const listen = { path: join(folder, '.s.PGSQL.6432') }
    await expect(at.start(upstream, { listen })).rejects.toMatchObject({ code: 'LISTEN_IS_UPSTREAM' })
  })
})

/** The program, once its standard error has said all of these. */
async function started(
  args: string[],
  says: readonly RegExp[],
): Promise<{ said: RegExpExecArray[]; stdout: () => string }> {
  const environment = { ...process.env, PGREHEARSE_KEY: 'ab'.repeat(32) }
  const program = spawn(process.execPath, [MAIN, 'record', 'proxy', ...args], { cwd: folder, env: environment })
  child = program
  let [stdout, stderr] = ['', '']
  program.stdout.on('data', (text) => {
    stdout += text
  })
  const said = await new Promise<RegExpExecArray[]>((resolve, reject) => {
    program.stderr.on('data', (text) => {
      stderr += text
      const found = says.map((pattern) => pattern.exec(stderr))
      if (found.every((match) => match !== null)) resolve(found)
    })
    program.once('exit', () => reject(new Error(stderr)))
  })
  return { said, stdout: () => stdout }
}

test('several servers in one process: each pair has its recording, all show in the metrics, one signal seals all', async () => {
  mkdirSync(join(folder, 'sockets'))
  const args = ['--listen', '127.0.0.1:0', '--upstream', db.url, '--out', 'a']
  const more = ['--listen', 'unix:sockets', '--upstream', db.url, '--out', 'b', '--metrics', '127.0.0.1:0', '--json']
  const says = [/recording 127\.0\.0\.1:(\d+) to \S+a;/, /recording (\S+) to \S+b;/, /figures at (\S+)/]
  const { said, stdout } = await started([...args, ...more], says)
  const [port, path, figures] = said.map((match) => match[1]!)
  expect(path).toBe(join(folder, 'sockets', '.s.PGSQL.5432'))
  const first = Object.assign(new URL(db.url), { port, hostname: '127.0.0.1' }).toString()
  expect(await one(first, 'SELECT 1')).toEqual([1])
  expect(await one(bySocket(join(folder, 'sockets'), 5432), 'SELECT 2')).toEqual([2])
  const text = await (await fetch(figures!)).text()
  for (const name of ['a', 'b']) {
    expect(text).toContain(`pgrehearse_recorder_statements_seen_total{recording="${join(folder, name)}"} 1\n`)
  }
  expect((await fetch(new URL('/', figures))).status).toBe(404)

  const ended = new Promise((resolve) => child!.once('exit', resolve))
  child!.kill('SIGTERM')
  expect(await ended).toBe(0)
  const { recordings } = JSON.parse(stdout()) as { recordings: { status: { state: string } }[] }
  expect(recordings.map(({ status }) => status.state)).toEqual(['sealed', 'sealed'])
  expect(read(join(folder, 'a')).statements[0]!.sql).toBe('SELECT 1')
  expect(read(join(folder, 'b')).statements[0]!.sql).toBe('SELECT 2')
})

test.each([
  {
    name: 'addresses and servers that do not pair up',
    args: ['--listen', ':0', '--listen', ':0', '--upstream', 'x', '--upstream', 'x'],
  },
  { name: 'a certificate without its key', args: ['--listen', ':0', '--upstream', 'x', '--tls-cert', 'x'] },
  { name: 'a socket whose path is too long', args: ['--listen', `unix:/${'x'.repeat(120)}`, '--upstream', 'x'] },
])('$name are refused', async ({ args }) => {
  await expect(started([...args, '--out', 'rec'], [/never/])).rejects.toThrow('[OPTION_VALUE]')
  expect(existsSync(join(folder, 'rec'))).toBe(false)
})

describe('metrics', () => {
  test('are the figures of the status, in the format of Prometheus', async () => {
    const recording = await at.start(db.url)
    await one(through(db.url, recording), 'SELECT 1')
    recording.pause()
    await one(through(db.url, recording), 'SELECT 2')
    const status = recording.status()
    const text = await metricsText([{ ...status, path: '/a "quoted"\\path' }])
    for (const line of text.split('\n').filter((one) => one !== '')) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) pgrehearse_recorder_\w+ .+|pgrehearse_recorder_\w+\{.*\} -?\d+(\.\d+)?(e-?\d+)?)$/,
      )
    }
    const label = String.raw`recording="/a \"quoted\"\\path"`
    expect(text).toContain(`pgrehearse_recorder_state{${label},state="paused"} 1\n`)
    expect(text).toContain(`pgrehearse_recorder_state{${label},state="recording"} 0\n`)
    expect(text).toContain(`pgrehearse_recorder_statements_seen_total{${label}} 2\n`)
    expect(text).toContain(`pgrehearse_recorder_statements_passed_total{${label},reason="paused"} 1\n`)
    expect(text).toContain(`pgrehearse_recorder_ring_size_bytes{${label}} ${64 * 1024 * 1024}\n`)
    // Counted from tick to tick, so there must be traffic when one is looked at.
    const rate = async () => {
      await one(through(db.url, recording), 'SELECT 3')
      return recording.status().rates.statementsPerSecond
    }
    await expect.poll(rate, { timeout: 10_000 }).toBeGreaterThan(0)
    await recording.stop()
  })

  test('an address in use is refused', async () => {
    const first = await serveMetrics({ host: '127.0.0.1', port: 0 }, () => [])
    await expect(serveMetrics({ host: '127.0.0.1', port: first.port }, () => [])).rejects.toMatchObject({
      code: 'METRICS_ADDRESS',
    })
    first.close()
  })
})
