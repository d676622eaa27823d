import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { usableBinaries } from '../../replayer/shadow/binaries.js'
import { canReach } from '../../replayer/shadow/identity.js'
import { embeddedBinaries, startServer } from '../../replayer/shadow/server.js'
import type { ChildRequest } from './server-child.js'

const NOBODY = { uid: 65534, gid: 65534 }
const WE_ARE_ROOT = userInfo().uid === 0

let room: string
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'shadow-test-'))
  chmodSync(room, 0o755)
})
afterEach(() => rmSync(room, { recursive: true, force: true }))

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const alive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

type Child = { process: ChildProcess; pid: number; url: string; dataDir: string; socketDir: string; binaries?: string }

/** Runs ./server-child.ts; `as` and `env` say who and where it is. */
async function child(request: ChildRequest, env: Record<string, string>, as?: typeof NOBODY): Promise<Child> {
  const script = fileURLToPath(new URL('./server-child.ts', import.meta.url))
  const started = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(request)], {
    ...as,
    env: { PATH: process.env.PATH!, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const line = await Promise.race([
    once(createInterface(started.stdout!), 'line').then(([text]) => String(text)),
    once(started, 'exit').then(([code]) => Promise.reject(new Error(`the child ended with ${code}`))),
  ])
  return { process: started, ...JSON.parse(line) }
}

async function finish(started: Child): Promise<void> {
  started.process.stdin!.end()
  await once(started.process, 'exit')
}

const serversLeftIn = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('pgr-'))

/** The package as `npm ci --ignore-scripts` leaves it: no library links. */
function installWithoutLinks(folder: string): string {
  const native = dirname(embeddedBinaries())
  cpSync(join(native, '..', 'package.json'), join(folder, 'package.json'))
  cpSync(native, join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
  const lib = join(folder, 'native', 'lib')
  for (const entry of readdirSync(lib, { withFileTypes: true }))
    if (entry.isSymbolicLink()) rmSync(join(lib, entry.name))
  return join(folder, 'native', 'bin')
}

describe('a server of our own', () => {
  test('answers on its URL; stop leaves no process and no file', async () => {
    const server = await startServer()
    expect(await ask(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(statSync(server.dataDir).mode & 0o077).toBe(0)
    await server.stop()
    expect(alive(server.pid)).toBe(false)
    expect([existsSync(server.dataDir), existsSync(server.socketDir)]).toEqual([false, false])
  })

  test('refuses a wrong password, also on its socket', async () => {
    const server = await startServer()
    const wrong = { user: 'postgres', password: 'wrong', port: server.port, database: 'postgres' }
    for (const host of [server.host, server.socketDir])
      await expect(new pg.Client({ ...wrong, host }).connect()).rejects.toMatchObject({ code: '28P01' })
    await server.stop()
  })

  test('takes settings', async () => {
    const server = await startServer({ settings: { work_mem: '7MB' } })
    expect(await ask(server.url(), 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }])
    await server.stop()
  })

  test('a data folder that is kept starts again with its data and its password', async () => {
    const dataDir = join(room, 'deep', 'data')
    const first = await startServer({ dataDir })
    await ask(first.url(), 'CREATE TABLE kept AS SELECT 42 AS answer')
    await expect(startServer({ dataDir })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' })
    await first.stop()
    const second = await startServer({ dataDir })
    expect(second.password).toBe(first.password)
    expect(await ask(second.url(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
    await second.stop()
    expect(existsSync(dataDir)).toBe(true)
  })

  test('an empty folder that exists already is used', async () => {
    const dataDir = join(room, 'empty')
    mkdirSync(dataDir)
    const server = await startServer({ dataDir })
    expect(await ask(server.url(), 'SELECT 1 AS one')).toHaveLength(1)
    await server.stop()
  })

  test('never starts a cluster that is not ours, never fills a folder of somebody', async () => {
    writeFileSync(join(room, 'PG_VERSION'), '18\n')
    await expect(startServer({ dataDir: room })).rejects.toMatchObject({ code: 'NOT_OUR_DATA_FOLDER', exit: 2 })
    const owner = statSync(room).uid
    rmSync(join(room, 'PG_VERSION'))
    writeFileSync(join(room, 'notes.txt'), 'mine')
    await expect(startServer({ dataDir: room })).rejects.toMatchObject({ code: 'INITDB_FAILED' })
    expect(readdirSync(room)).toEqual(['notes.txt'])
    expect(statSync(room).uid).toBe(owner)
  })

  test('names what is missing in a folder of programs', async () => {
    await expect(startServer({ binaries: room })).rejects.toMatchObject({
      code: 'NO_SERVER_PROGRAMS',
      detail: 'there is no initdb and no postgres',
    })
  })

  test('a bad setting: the reason the server gave', async () => {
    await expect(startServer({ settings: { shared_buffers: 'much' } })).rejects.toMatchObject({
      code: 'SERVER_DID_NOT_START',
      detail: expect.stringContaining('shared_buffers'),
    })
  })
})

describe('its port', () => {
  let taken: Server
  let takenPort: number
  beforeEach(async () => {
    taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    takenPort = (taken.address() as { port: number }).port
  })
  afterEach(() => {
    taken.close()
  })

  test('taken by somebody in between: the next one', async () => {
    const server = await startServer()
    await server.stop()
    const ports = [takenPort, server.port]
    const again = await startServer({ findPort: async () => ports.shift()! })
    expect(again.port).toBe(server.port)
    await again.stop()
  })

  test('always taken: gives up with a reason', async () => {
    await expect(startServer({ findPort: async () => takenPort })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  })
})

describe('the owner', () => {
  test('lives in a deep TMPDIR: the socket goes where its path fits', async () => {
    const deep = join(room, 'x'.repeat(60), 'y'.repeat(60))
    mkdirSync(deep, { recursive: true })
    const started = await child({}, { TMPDIR: deep, HOME: room })
    expect(started.dataDir.startsWith(deep)).toBe(true)
    const socket = { host: started.socketDir, port: Number(new URL(started.url).port) }
    const { password } = new URL(started.url)
    const client = new pg.Client({ ...socket, user: 'postgres', password, database: 'postgres' })
    await client.connect()
    await client.end()
    await finish(started)
    expect([alive(started.pid), existsSync(started.socketDir), serversLeftIn(deep)]).toEqual([false, false, []])
  })

  test.runIf(process.platform === 'linux')('is killed without a word: the server ends as well', async () => {
    const started = await child({}, { TMPDIR: room, HOME: room })
    const client = new pg.Client(started.url)
    const ended = new Promise((resolve) => client.once('error', resolve))
    await client.connect()
    started.process.kill('SIGKILL')
    await ended
  })

  test('ends without stopping it: the server ends, its files go', async () => {
    const started = await child({}, { TMPDIR: room, HOME: room })
    const client = new pg.Client(started.url)
    const ended = new Promise((resolve) => client.once('error', resolve))
    await client.connect()
    started.process.stdin!.write('leave')
    await once(started.process, 'exit')
    await ended
    expect(serversLeftIn(room)).toEqual([])
  })
})

describe('the programs', () => {
  test('without library links: linked in place', () => {
    const binaries = installWithoutLinks(room)
    expect(usableBinaries(binaries, undefined, join(room, 'cache'))).toBe(binaries)
    expect(existsSync(join(room, 'native', 'lib', 'libpq.so.5'))).toBe(true)
    expect(existsSync(join(room, 'cache'))).toBe(false)
  })

  test.runIf(WE_ARE_ROOT)('out of reach of the unprivileged user: copied once, and the copy works', async () => {
    const hidden = join(room, 'hidden')
    mkdirSync(hidden, { mode: 0o700 })
    const binaries = installWithoutLinks(hidden)
    expect(canReach(binaries, NOBODY)).toBe(false)
    const cache = join(room, 'cache')
    const copy = usableBinaries(binaries, NOBODY, cache)
    expect(copy.startsWith(cache)).toBe(true)
    expect(usableBinaries(binaries, NOBODY, cache)).toBe(copy)
    expect(readdirSync(cache)).toHaveLength(1)
    const server = await startServer({ binaries: copy })
    expect(await ask(server.url(), 'SELECT 1 AS one')).toHaveLength(1)
    await server.stop()
  })

  test.runIf(WE_ARE_ROOT)('a cached copy that somebody else put there is refused', () => {
    const hidden = join(room, 'hidden')
    mkdirSync(hidden, { mode: 0o700 })
    const binaries = installWithoutLinks(hidden)
    const cache = join(room, 'cache')
    const place = dirname(dirname(usableBinaries(binaries, NOBODY, cache)))
    chownSync(place, NOBODY.uid, NOBODY.gid)
    expect(() => usableBinaries(binaries, NOBODY, cache)).toThrow(/nor copy it/)
  })

  test.runIf(WE_ARE_ROOT)('named by the caller and out of reach: refused before anything starts', async () => {
    const hidden = join(room, 'hidden')
    mkdirSync(hidden, { mode: 0o700 })
    const binaries = installWithoutLinks(hidden)
    await expect(startServer({ binaries })).rejects.toMatchObject({ code: 'SERVER_PROGRAMS_OUT_OF_REACH' })
  })

  test.runIf(WE_ARE_ROOT)('a data folder out of reach is refused', async () => {
    const hidden = join(room, 'hidden')
    mkdirSync(hidden, { mode: 0o700 })
    await expect(startServer({ dataDir: join(hidden, 'data') })).rejects.toMatchObject({
      code: 'DATA_FOLDER_OUT_OF_REACH',
    })
  })
})

describe.runIf(WE_ARE_ROOT)('a normal user', () => {
  let own: string
  beforeEach(() => {
    own = join(room, 'own')
    mkdirSync(own)
    chownSync(own, NOBODY.uid, NOBODY.gid)
  })

  test('starts a server and keeps its data', async () => {
    const request = { dataDir: join(own, 'data') }
    const first = await child(request, { TMPDIR: own, HOME: own }, NOBODY)
    await ask(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await finish(first)
    const second = await child(request, { TMPDIR: own, HOME: own }, NOBODY)
    expect(await ask(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
    await finish(second)
    expect(statSync(request.dataDir).uid).toBe(NOBODY.uid)
    // Root starts it as the user it belongs to.
    const third = await startServer(request)
    expect(third.password).toBe(new URL(second.url).password)
    await third.stop()
  })

  test('with a package of root and no links in it: copied to the own cache', async () => {
    const started = await child({ installed: installWithoutLinks(room) }, { TMPDIR: own, HOME: own }, NOBODY)
    expect(started.binaries).toContain(join(own, '.cache', 'pgrehearse'))
    expect(await ask(started.url, 'SELECT 1 AS one')).toHaveLength(1)
    await finish(started)
  })
})
