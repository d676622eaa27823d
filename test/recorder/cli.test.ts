import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { read } from './recording.js'
import { environment, MAIN, OWN_MOUNTS, type Running, startRecorder } from './running.js'

let db: TestDatabase
let folder: string
const children: ChildProcess[] = []
beforeEach(async () => {
  db = await createDatabase('CREATE TABLE t (id int PRIMARY KEY)')
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-cli-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
  await db.drop()
})

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function pgrehearse(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], { cwd: folder, env: environment }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

const recorder = (...more: string[]) => startRecorder(db.url, { folder, children, args: more })

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  return client
}

describe('refused, with what, why and what to do', () => {
  const proxy = (options: Record<string, string>) => {
    const all = { listen: '127.0.0.1:0', upstream: db.url, out: 'rec', ...options }
    return pgrehearse('record', 'proxy', ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]))
  }
  const changed = (change: Partial<URL>) => Object.assign(new URL(db.url), change).toString()

  test.each([
    {
      name: 'a server that is not there',
      code: 'UPSTREAM_UNREACHABLE',
      exit: 4,
      options: () => ({ upstream: changed({ port: '1' }) }),
    },
    {
      name: 'a wrong password',
      code: 'UPSTREAM_PASSWORD',
      exit: 4,
      options: () => ({ upstream: changed({ password: 'guess' }) }),
    },
    {
      name: 'a database that is not there',
      code: 'UPSTREAM_REFUSED',
      exit: 4,
      options: () => ({ upstream: changed({ pathname: '/nowhere' }) }),
    },
    { name: 'not a URL of a server', code: 'UPSTREAM_URL', exit: 2, options: () => ({ upstream: 'mysql://x' }) },
    {
      name: 'TLS that the server does not have',
      code: 'UPSTREAM_UNREACHABLE',
      exit: 4,
      options: () => ({ upstream: `${db.url}?sslmode=require` }),
    },
    {
      name: 'an unknown sslmode',
      code: 'UPSTREAM_URL',
      exit: 2,
      options: () => ({ upstream: `${db.url}?sslmode=perhaps` }),
    },
    {
      name: 'a folder that cannot be made',
      code: 'RECORDING_FAILED',
      exit: 4,
      options: () => ({ out: '/dev/null/rec' }),
    },
    { name: 'a time that is none', code: 'OPTION_VALUE', exit: 2, options: () => ({ duration: 'soon' }) },
    { name: 'an address without a port', code: 'OPTION_VALUE', exit: 2, options: () => ({ listen: 'localhost' }) },
    {
      name: 'a policy that is not there',
      code: 'POLICY_UNREADABLE',
      exit: 2,
      options: () => ({ policy: 'none.yaml' }),
    },
  ])('$name', async ({ code, exit, options }) => {
    const ended = await proxy(options())
    expect(ended.stderr).toContain(`[${code}]`)
    expect(ended.stderr).toMatch(/why .*\n/)
    expect(ended.code).toBe(exit)
    expect(ended.stdout).toBe('')
    expect(ended.stderr).not.toContain(new URL(db.url).password)
    expect(existsSync(join(folder, 'rec'))).toBe(false)
  })

  test('a port in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const ended = await proxy({ listen: `127.0.0.1:${port}` })
    server.close()
    expect(ended.stderr).toContain('[PORT_IN_USE]')
    expect(ended.code).toBe(4)
    expect(existsSync(join(folder, 'rec'))).toBe(false)
  })

  test('a recording that is already there', async () => {
    writeFileSync(join(folder, 'rec'), 'mine')
    const ended = await proxy({})
    expect(ended.stderr).toContain('--force')
    expect(ended.code).not.toBe(0)
    expect(readFileSync(join(folder, 'rec'), 'utf8')).toBe('mine')
  })

  test('no recorder at the control socket', async () => {
    const ended = await pgrehearse('record', 'status', '--control', 'none.control', '--json')
    expect(JSON.parse(ended.stdout).error.code).toBe('NO_RECORDER')
    expect(ended.code).toBe(4)
  })
})

describe('signals', () => {
  test('the first lets open transactions end, then the recording is sealed', async () => {
    const { url, child, ended } = await recorder()
    const client = await connect(url)
    await client.query('BEGIN')
    await client.query('INSERT INTO t VALUES (1)')
    child.kill('SIGTERM')
    await client.query('SELECT 1')
    await client.query('COMMIT')
    const { stdout } = await ended
    expect(stdout).toContain('4 statements in 1 transactions, 0 lost')
    const { manifest, statements } = read(join(folder, 'rec'))
    expect(manifest.endedAtMs).not.toBe(null)
    expect(statements.map(({ outcome }) => outcome.tag)).toEqual(['BEGIN', 'INSERT 0 1', 'SELECT 1', 'COMMIT'])
    expect((await db.query('SELECT * FROM t')).rows).toEqual([{ id: 1 }])
  })

  test('the second does not wait, and seals as well', async () => {
    const { url, child, ended } = await recorder('--grace', '1h')
    const client = await connect(url)
    await client.query('SELECT 1')
    await client.query('BEGIN')
    child.kill('SIGINT')
    // It has understood when it takes no new connections.
    for (let listens = true; listens; ) {
      listens = await connect(url).then(
        (other) => other.end().then(() => true),
        () => false,
      )
    }
    child.kill('SIGINT')
    await ended
    const { manifest } = read(join(folder, 'rec'))
    expect(manifest.endedAtMs).not.toBe(null)
    expect(manifest.ledger.kept.statements).toBe(1)
    expect(Object.keys(manifest.ledger.lost)).toEqual(['recording ended inside the transaction'])
  })
})

// Its recording thread gives way to traffic; who has given way already cannot always take that back.
test.runIf(OWN_MOUNTS)('a recorder that was started nicer than its thread wants to be records as well', async () => {
  const by = ['unshare', '-r', 'nice', '-n', '12']
  const { url, child, ended } = await startRecorder(db.url, { folder, children, by })
  const client = await connect(url)
  await client.query('SELECT 1')
  await client.end()
  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)
  expect(read(join(folder, 'rec')).statements).toHaveLength(1)
})

describe('the control socket', () => {
  const control = async (command: string) => {
    const ended = await pgrehearse('record', command, '--control', 'rec.control', '--json')
    return JSON.parse(ended.stdout) as { state: string; statementsKept: number; connections: number }
  }

  test('is for its owner only; pauses, resumes and stops while connections live on', async () => {
    const { url, child, ended } = await recorder()
    expect(statSync(join(folder, 'rec.control')).mode & 0o777).toBe(0o600)
    const client = await connect(url)
    expect(await control('status')).toMatchObject({ state: 'recording', connections: 1 })
    await client.query('SELECT 1')
    expect(await control('pause')).toMatchObject({ state: 'paused' })
    await client.query('SELECT 2')
    expect(await control('resume')).toMatchObject({ state: 'recording' })
    await client.query('SELECT 3')
    expect(await control('stop')).toMatchObject({ state: 'sealed', statementsKept: 2 })
    expect((await client.query('SELECT 4 AS four')).rows).toEqual([{ four: 4 }])
    const { manifest } = read(join(folder, 'rec'))
    expect(manifest.ledger.filtered).toEqual({ paused: { statements: 1, transactions: 1 } })
    child.kill('SIGTERM')
    await ended
    expect(existsSync(join(folder, 'rec.control'))).toBe(false)
  })

  test('kills the recording and nothing else', async () => {
    const { url, child, ended } = await recorder()
    const client = await connect(url)
    await client.query('SELECT 1')
    expect(await control('kill')).toMatchObject({ state: 'killed' })
    expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }])
    child.kill('SIGTERM')
    await ended
    const { manifest } = read(join(folder, 'rec'))
    expect(manifest.incidents.map(({ kind }) => kind)).toContain('interrupted')
  })
})

describe('kill, from where nobody reaches the control socket', () => {
  const killed = async (url: string) => {
    const client = await connect(url)
    await client.query('SELECT 1')
    return client
  }

  test.each([
    { name: 'SIGUSR2', by: ({ child }: Running) => child.kill('SIGUSR2') },
    { name: 'rec.kill', by: () => writeFileSync(join(folder, 'rec.kill'), '') },
  ])('by $name', async ({ name, by }) => {
    const running = await recorder()
    const client = await killed(running.url)
    by(running)
    while (!running.stderr().includes('recorder: killed;')) await client.query('SELECT 2')
    expect((await client.query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }])
    expect(running.stderr()).toMatch(new RegExp(`killed by .*${name}`))
    running.child.kill('SIGTERM')
    expect((await running.ended).code).toBe(0)
    expect(read(join(folder, 'rec')).manifest.incidents.map(({ kind }) => kind)).toContain('interrupted')
  })
})

test('--max-statements seals the recording and leaves the connections alone', async () => {
  const { url, child, ended, stderr } = await recorder('--max-statements', '10')
  const client = await connect(url)
  while (!stderr().includes('recorder: sealed;')) await client.query('SELECT 1')
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }])
  const { manifest } = read(join(folder, 'rec'))
  expect(manifest.incidents).toMatchObject([{ kind: 'limit', detail: 'statements' }])
  expect(manifest.ledger.kept.statements).toBeGreaterThanOrEqual(10)
  child.kill('SIGTERM')
  await ended
})

test('--duration seals the recording and leaves the connections alone', async () => {
  const { url, child, ended } = await recorder('--duration', '1s')
  const client = await connect(url)
  await client.query('SELECT 1')
  while ((await pgrehearse('record', 'status', '--control', 'rec.control')).stdout.startsWith('recording'));
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }])
  expect(read(join(folder, 'rec')).manifest.incidents).toMatchObject([{ kind: 'limit', detail: 'duration' }])
  child.kill('SIGTERM')
  await ended
})
