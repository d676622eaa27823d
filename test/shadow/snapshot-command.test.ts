import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Cli } from '../../cli/cli.js'
import { register } from '../../cli/commands/snapshot.js'
import { chooseEmbedded } from '../../cli/embedded.js'
import { embeddedMajor, majorsHere } from '../../replayer/shadow/binaries.js'
import { assertShadow } from '../../replayer/shadow/isolation.js'
import { startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let room: string
let production: TestDatabase

beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'snapshot-cli-'))
  // As root the server runs as somebody else, who must be able to pass.
  chmodSync(room, 0o755)
  const schema = 'CREATE TABLE orders (id int PRIMARY KEY, email text, cents int)'
  writeFileSync(join(room, 'schema.sql'), schema)
  writeFileSync(join(room, 'v2.sql'), 'ALTER TABLE orders RENAME TO orders_v2')
  production = await createDatabase(
    schema,
    `INSERT INTO orders SELECT n, 'ann' || n || '@example.com', n FROM generate_series(1, 50) n`,
  )
})
afterAll(async () => {
  await production?.drop()
  rmSync(room, { recursive: true, force: true })
})

type Said = { code: number; prints: string[]; notes: string[]; result: Record<string, unknown> }

/** Runs the command as `pgrehearse` would; `whilePrinted` sees each line for people when it is printed. */
async function run(args: string[], whilePrinted: (line: string, stop: () => void) => void = () => {}): Promise<Said> {
  const said: Said = { code: -1, prints: [], notes: [], result: {} }
  const abort = new AbortController()
  const cli: Cli = {
    env: {},
    cwd: room,
    signal: abort.signal,
    json: false,
    checksOnly: false,
    print(text = '') {
      said.prints.push(text)
      whilePrinted(text, () => abort.abort())
    },
    note: (text) => said.notes.push(text),
    result: (value) => {
      said.result = value as Record<string, unknown>
    },
    progress: () => ({ update: () => {}, done: (text) => said.notes.push(text) }),
    onSignal: () => {},
    onKillSignal: () => {},
    action:
      (work) =>
      async (...all) => {
        said.code = await work(all.slice(0, -2).flat() as string[], all.at(-2) as never, all.at(-1) as Command)
      },
  }
  const program = new Command('pgrehearse').exitOverride()
  register(program, cli)
  await program.parseAsync(['node', 'pgrehearse', 'snapshot', ...args])
  return said
}

const takeTo = (out: string, ...more: string[]) =>
  run(['take', '--from', production.url, '--out', out, '--schema', 'schema.sql', ...more])

test('take: names the folder and every file; makes a key on first use, once', async () => {
  const first = await takeTo('snap')
  expect(first).toMatchObject({ code: 0, prints: [`snapshot ${join(room, 'snap')}`] })
  expect(first.result).toMatchObject({
    tables: 1,
    rows: 50,
    files: ['snapshot.json', 'schema.sql', 'data/0001.copy.gz'],
  })
  expect(first.notes.join('\n')).toContain('made the key')
  expect(statSync(join(room, 'pgrehearse.key')).mode & 0o077).toBe(0)
  const again = await takeTo('snap-2')
  expect(again.notes.join('\n')).not.toContain('made the key')
})

test('take --force replaces a snapshot, and nothing else', async () => {
  const before = JSON.parse(readFileSync(join(room, 'snap', 'snapshot.json'), 'utf8'))
  await expect(takeTo('snap')).rejects.toMatchObject({ code: 'OUT_EXISTS' })
  await takeTo('snap', '--force')
  const after = JSON.parse(readFileSync(join(room, 'snap', 'snapshot.json'), 'utf8'))
  expect(after.id).not.toBe(before.id)
  await expect(takeTo('schema.sql', '--force')).rejects.toMatchObject({
    code: 'OUT_EXISTS',
    detail: 'it is not a snapshot',
  })
})

test('restore --embedded: prints a URL that works until Ctrl-C; with --data-dir V2 comes beside V1', async () => {
  const rowsWhileUp: Record<string, unknown> = {}
  const visit = (name: string, sql: string) => (line: string, stop: () => void) => {
    const client = new pg.Client(line.replace('golden ', ''))
    void client
      .connect()
      .then(() => client.query(sql))
      .then(({ rows }) => {
        rowsWhileUp[name] = rows[0]
      })
      .catch((error: unknown) => {
        rowsWhileUp[name] = error
      })
      .finally(() => client.end().then(stop))
  }
  const embedded = ['restore', 'snap', '--embedded', '--data-dir', 'data']
  const v1 = await run([...embedded, '--database', 'v1'], visit('v1', 'SELECT count(*)::int AS rows FROM orders'))
  const v2 = await run(
    [...embedded, '--database', 'v2', '--migrate', join(room, 'v2.sql')],
    visit(
      'v2',
      `SELECT count(*)::int AS rows, (SELECT count(*)::int FROM pg_database WHERE datname = 'v1') AS v1 FROM orders_v2`,
    ),
  )
  expect([v1.code, v2.code]).toEqual([0, 0])
  expect(rowsWhileUp).toEqual({ v1: { rows: 50 }, v2: { rows: 50, v1: 1 } })
  expect(v2.result).toMatchObject({ database: 'v2', rows: 50, migrations: [{ migration: join(room, 'v2.sql') }] })
  await expect(new pg.Client(v1.prints[0]!.replace('golden ', '')).connect()).rejects.toThrow()
  expect(existsSync(join(room, 'data', 'postmaster.pid'))).toBe(false)
})

test('clone and drop: a golden keeps, its copy may be dirtied and goes; nothing that is not ours is touched', async () => {
  const server = await startServer()
  try {
    await restoreSnapshot({ snapshot: join(room, 'snap'), target: server.url('golden') })
    const cloned = await run(['clone', server.url('golden'), '--as', 'shadow 1'])
    expect(cloned).toMatchObject({ code: 0, result: { database: 'shadow 1' } })
    expect(cloned.prints.join()).not.toContain(server.password)
    const shadow = new pg.Client(server.url('shadow 1'))
    await shadow.connect()
    await expect(assertShadow(shadow, { recordingSystemIdentifier: 'another' })).resolves.toMatchObject({
      role: 'shadow',
    })
    expect((await shadow.query('DELETE FROM orders')).rowCount).toBe(50)
    await shadow.end()
    await run(['drop', server.url('shadow 1')])
    const golden = new pg.Client(server.url('golden'))
    await golden.connect()
    expect((await golden.query('SELECT count(*)::int AS rows FROM orders')).rows).toEqual([{ rows: 50 }])
    expect((await golden.query("SELECT FROM pg_database WHERE datname = 'shadow 1'")).rowCount).toBe(0)
    await golden.end()
    await expect(run(['clone', server.url('postgres'), '--as', 'x'])).rejects.toMatchObject({ code: 'NOT_A_SHADOW' })
    await expect(run(['drop', server.url('postgres')])).rejects.toMatchObject({ code: 'NOT_A_SHADOW' })
    await expect(run(['drop', 'nonsense'])).rejects.toMatchObject({ code: 'BAD_URL', exit: 2 })
  } finally {
    await server.stop()
  }
})

test.each([
  { name: 'neither --to nor --embedded', args: ['restore', 'snap'], code: 'RESTORE_WHERE' },
  { name: 'both', args: ['restore', 'snap', '--embedded', '--to', 'postgres://h/d'], code: 'RESTORE_WHERE' },
  { name: 'a folder that is no snapshot', args: ['restore', '.', '--embedded'], code: 'NOT_A_SNAPSHOT' },
  {
    name: 'a number that is none',
    args: ['restore', 'snap', '--embedded', '--connections', 'many'],
    code: 'OPTION_VALUE',
  },
  { name: 'a version that is none', args: ['restore', 'snap', '--embedded=newest'], code: 'OPTION_VALUE' },
  {
    name: 'a version, and the programs of one',
    args: ['restore', 'snap', '--embedded=18', '--server-bin', '.'],
    code: 'OPTION_VALUE',
  },
])('restore refuses early: $name', async ({ args, code }) => {
  await expect(run(args)).rejects.toMatchObject({ code, exit: 2 })
})

describe('--embedded=MAJOR', () => {
  const major = embeddedMajor()

  test('a version that is not on this machine: which there are, and what to do', async () => {
    await expect(run(['restore', 'snap', '--embedded=99'])).rejects.toMatchObject({
      code: 'NO_SUCH_MAJOR',
      exit: 4,
      message: 'there is no PostgreSQL 99 on this machine',
      detail: expect.stringContaining(String(major)),
      hint: expect.stringContaining('--server-bin'),
    })
  })

  test('another version than the data in the folder is of', async () => {
    mkdirSync(join(room, 'older'))
    writeFileSync(join(room, 'older', 'PG_VERSION'), '12\n')
    await expect(run(['restore', 'snap', `--embedded=${major}`, '--data-dir', 'older'])).rejects.toMatchObject({
      code: 'DATA_FOLDER_OTHER_MAJOR',
      exit: 2,
      detail: 'its data is of PostgreSQL 12',
    })
  })

  test('without a version it is production’s, or the one that comes along, and that is said', () => {
    const choose = (versionNum: number, embedded: string | true = true) =>
      chooseEmbedded({ embedded, versionNum, serverBin: undefined, dataDir: undefined })
    expect(choose(major * 10000 + 3)).toEqual({ binaries: undefined, note: null })
    expect(choose(120003, String(major))).toEqual({ binaries: undefined, note: null })
    expect(choose(110003)).toEqual({
      binaries: undefined,
      note: `production is PostgreSQL 11, which is not on this machine; this server is PostgreSQL ${major}`,
    })
  })

  const others = majorsHere().filter((other) => other !== major)
  test.runIf(others.length > 0)('a version of the machine’s own is started', async () => {
    let version: unknown
    const said = await run(['restore', 'snap', `--embedded=${others[0]}`], (line, stop) => {
      const client = new pg.Client(line.replace('golden ', ''))
      void client
        .connect()
        .then(() => client.query('SHOW server_version_num'))
        .then(({ rows }) => {
          version = rows[0].server_version_num
        })
        .finally(() => client.end().then(stop))
    })
    expect(said.code).toBe(0)
    expect(Math.floor(Number(version) / 10000)).toBe(others[0])
  })
})
