/**
 * Nothing personal in any byte that is written: the whole pipeline on a database full of canaries, with programs killed in the middle,
 * and then every byte of it is looked at. The same on a policy that keeps everything shows that the look can see.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { askControl } from '../../recorder/control.js'
import { withAdmin, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { contents } from '../shadow/support.js'
import { clinicTraffic, loadClinic, policyPath, schemaPath, word } from './clinic/clinic.js'
import { filesUnder, leaksUnder, search } from './clinic/leaks.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const KEEP_EVERYTHING = 'version: 1\ncolumns:\n  "*.*.*": keep\n'

/** V2 with faults, so that what compares has something to show. */
const FAULTY = `
  UPDATE clinic.patient SET name = left(name, 6) WHERE id % 2 = 0;
  UPDATE clinic.visit SET vitals = vitals - 'nurse' WHERE id % 3 = 0;
  ALTER TABLE clinic.patient ADD CHECK (length(insurance) < 5) NOT VALID;
  ALTER TABLE clinic.doctor DROP COLUMN initials;`

describe('the look itself', () => {
  const value = word(3)
  const wide = (encoding: 'utf16le') => Buffer.from(value, encoding)
  test.each<readonly [name: string, bytes: Buffer]>([
    ['plain bytes', Buffer.from(`x${value}y`)],
    ['another case', Buffer.from(value.toUpperCase())],
    ['hex', Buffer.from(Buffer.from(`..${value}`).toString('hex').toUpperCase())],
    ['base64', Buffer.from(Buffer.from(value).toString('base64'))],
    ['base64, shifted by one', Buffer.from(Buffer.from(`x${value}`).toString('base64'))],
    ['base64, shifted by two', Buffer.from(Buffer.from(`xy${value}`).toString('base64'))],
    ['UTF-16', wide('utf16le')],
    ['UTF-16, the other way round', wide('utf16le').swap16()],
    [
      'JSON escapes',
      Buffer.from(
        [...value]
          .map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
          .join('')
          .replace('\\u005a', '\\u007a'),
      ),
    ],
    [
      'URL escapes',
      Buffer.from([...value.toLowerCase()].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('')),
    ],
  ])('sees a canary in %s', (_, bytes) => expect(search(bytes)).not.toEqual([]))

  test('sees a canary in what is packed, one inside the other, and in what a writer of SQLite left behind', () => {
    const folder = mkdtempSync(join(tmpdir(), 'leaks-test-'))
    const write = (name: string, bytes: Buffer) => writeFileSync(join(folder, name), bytes)
    write('a.gz', gzipSync(value))
    write('b.html', Buffer.from(`<script>${gzipSync(JSON.stringify([value])).toString('base64')}</script>`))
    write(`${value}.txt`, Buffer.from('nothing'))
    const db = new Database(join(folder, 'c.sqlite'))
    db.pragma('journal_mode = wal')
    db.exec('CREATE TABLE t (x)')
    db.prepare('INSERT INTO t VALUES (?)').run(brotliCompressSync(value))
    const seen = new Set(leaksUnder(folder).map(({ file }) => file.slice(folder.length + 1)))
    db.close()
    rmSync(folder, { recursive: true, force: true })
    expect([...seen]).toEqual(expect.arrayContaining([`${value}.txt`, 'a.gz', 'b.html', 'c.sqlite']))
  })

  test('sees none where there is none', () =>
    expect(search(Buffer.from(`${word(3).slice(0, 6)} 739184600 ${Buffer.from('zyxqvo').toString('hex')}`))).toEqual(
      [],
    ))
})

let production: OwnedServer
const stops: (() => Promise<void>)[] = []
beforeAll(async () => {
  production = await startServer()
})
afterAll(async () => {
  await Promise.all(stops.map((stop) => stop()))
  await production.stop()
})

describe('masked', () => {
  let room: Pipeline
  beforeAll(async () => {
    room = await pipeline('masked', readFileSync(policyPath, 'utf8'))
  }, 600_000)

  test('was a rehearsal worth looking at: it recorded, replayed, found differences, and was killed in the middle', () => {
    expect(room.said).toMatchObject(WORTH_IT)
  })

  test('no byte of any file holds a canary', () => {
    expect(filesUnder(room.folder).length).toBeGreaterThan(100)
    expect(leaksUnder(room.folder)).toEqual([])
  })

  test('no row of any shadow holds a canary', async () => {
    expect(await room.rowsWithCanaries()).toEqual([])
  })
})

describe('with everything kept', () => {
  let room: Pipeline
  beforeAll(async () => {
    room = await pipeline('kept', KEEP_EVERYTHING)
  }, 600_000)

  test('the same look finds canaries in every thing that holds values', async () => {
    expect(room.said).toMatchObject(WORTH_IT_KEPT)
    const leaky = leaksUnder(room.folder).map(({ file }) => file.slice(room.folder.length + 1))
    const without = HOLD_VALUES.filter((name) => !leaky.some((file) => name.test(file)))
    expect(without).toEqual([])
    expect((await room.rowsWithCanaries()).length).toBeGreaterThan(100)
  })
})

/** What each step must have said, or the scan says little. */
const WORTH_IT_KEPT = {
  compare: 0,
  report: 0,
  verify: 1,
  'killed recorder': 'SIGKILL',
  'killed snapshot': 'SIGKILL',
  'killed run': 'SIGKILL',
}
const WORTH_IT = { ...WORTH_IT_KEPT, gate: 1, 'killed replay': 'SIGKILL' }

/** The killed replay is not among them: it may not have written an outcome yet. */
const HOLD_VALUES: readonly RegExp[] = [
  /^recording\/segments\/.*sqlite$/,
  /^snapshot\/data\/.*gz$/,
  /^baseline\.run$/,
  /^candidate\.run$/,
  /^rehearsal\.diff$/,
  /^out\/page\.html$/,
  /^out\/report\.json$/,
  /^out\/discrepancies\.csv$/,
  /^killed-recording\//,
  /^killed-snapshot.*\.part\//,
  /^killed-run\//,
  /^said\/reproduce/,
  /^postgres\/base\//,
]

type Pipeline = {
  readonly folder: string
  /** Exit codes of the steps, or the signal that ended them. */
  readonly said: Readonly<Record<string, unknown>>
  rowsWithCanaries(): Promise<readonly string[]>
}

/** Everything that writes, as programs of their own; what they print goes to files of the same folder. */
async function pipeline(name: string, policy: string): Promise<Pipeline> {
  const folder = mkdtempSync(join(tmpdir(), `canary-${name}-`))
  chmodSync(folder, 0o755)
  for (const inside of ['tmp', 'said', 'out']) mkdirSync(join(folder, inside))
  // The server's user writes there as well.
  chmodSync(join(folder, 'tmp'), 0o777)
  writeFileSync(join(folder, 'policy.yaml'), policy)
  writeFileSync(join(folder, 'faulty.sql'), FAULTY)
  writeFileSync(join(folder, 'notes.yaml'), policy === KEEP_EVERYTHING ? policy : 'version: 1\n')
  writeFileSync(join(folder, 'notes.sql'), 'CREATE TABLE notes (n int, body text)')
  copyFileSync(schemaPath, join(folder, 'schema.sql'))
  const shadows = await startServer({ dataDir: join(folder, 'postgres') })
  const [live, bulk] = [production.url(`clinic_${name}`), production.url(`bulk_${name}`)]
  await withAdmin(production.url(), async (admin) => {
    for (const database of [`clinic_${name}`, `bulk_${name}`]) await admin.query(`CREATE DATABASE ${database}`)
  })
  await loadClinic(live)
  await withClient(bulk, (client) =>
    client.query(`CREATE TABLE notes (n int, body text);
      INSERT INTO notes SELECT n, repeat('${word(1)} said ' || n || ' words. ', 40) FROM generate_series(1, 60000) n`),
  )
  const said: Record<string, unknown> = {}
  const children = new Set<ChildProcess>()
  const environment = { ...process.env, PGREHEARSE_KEY: 'c4'.repeat(32), TMPDIR: join(folder, 'tmp'), NO_COLOR: '1' }
  stops.push(async () => {
    for (const child of children) child.kill('SIGKILL')
    await shadows.stop()
    if (process.env.KEEP_CANARY === undefined) rmSync(folder, { recursive: true, force: true })
  })
  const start = (step: string, ...args: string[]): { child: ChildProcess; ended: Promise<unknown>; log: string } => {
    const log = join(folder, 'said', `${step.replaceAll(' ', '-')}.txt`)
    const to = openSync(log, 'a')
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env: environment, stdio: ['ignore', to, to] })
    children.add(child)
    const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
    void ended.then((how) => {
      said[step] = how
      children.delete(child)
    })
    return { child, ended, log }
  }
  const run = (step: string, ...args: string[]) => start(step, ...args).ended
  /** A step that only says what others have written: the look is shown to see by what holds values, and needs no more. */
  const say = async (step: string, ...args: string[]) => {
    if (policy !== KEEP_EVERYTHING) await run(step, ...args)
  }
  /** Runs until `there`, and then it is killed as the kernel kills. */
  const runUntil = async (there: () => boolean | Promise<boolean>, step: string, ...args: string[]) => {
    const { child, ended } = start(step, ...args)
    const over = () => child.exitCode !== null || child.signalCode !== null
    await until(async () => over() || (await there()))
    child.kill('SIGKILL')
    await ended
  }
  const record = async (step: string, out: string) => {
    const proxy = start(
      step,
      'record',
      'proxy',
      '--listen',
      '127.0.0.1:0',
      '--upstream',
      live,
      '--out',
      out,
      '--policy',
      'policy.yaml',
    )
    const port = () => /recording 127\.0\.0\.1:(\d+)/.exec(readFileSync(proxy.log, 'utf8'))?.[1]
    await until(() => port() !== undefined)
    return { ...proxy, url: Object.assign(new URL(live), { port: port()! }).toString() }
  }

  await say('suggest', 'policy', 'suggest', '--from', live)
  const recorder = await record('recorder', 'recording')
  await run(
    'snapshot',
    'snapshot',
    'take',
    '--from',
    live,
    '--out',
    'snapshot',
    '--policy',
    'policy.yaml',
    '--schema',
    'schema.sql',
  )
  await clinicTraffic(recorder.url)
  await say('status', 'record', 'status', '--control', 'recording.control')
  await run('stop', 'record', 'stop', '--control', 'recording.control')
  recorder.child.kill('SIGINT')
  await recorder.ended

  const killed = await record('killed recorder', 'killed-recording')
  const victim = new pg.Client(killed.url)
  victim.on('error', () => {})
  await victim.connect()
  await clinicTraffic(killed.url)
  await victim.query(`BEGIN; UPDATE clinic.patient SET note = '${word(1)} was under way' WHERE id = 11`)
  await until(async () => (await askControl(join(folder, 'killed-recording.control'), 'status')).statementsKept > 50)
  killed.child.kill('SIGKILL')
  await killed.ended
  await victim.end().catch(() => {})
  await say('inspect killed', 'inspect', 'killed-recording')
  await runUntil(
    () => someBytes(folder, /^killed-snapshot.*\.part\/data\//, 20_000),
    'killed snapshot',
    'snapshot',
    'take',
    '--from',
    bulk,
    '--out',
    'killed-snapshot',
    '--policy',
    'notes.yaml',
    '--schema',
    'notes.sql',
  )

  await say('inspect', 'inspect', 'recording')
  await say('plan', 'plan', 'recording', '--explain', '20')
  const golden = (version: string) => withDatabase(shadows.url(), `golden_${version}`)
  await run('restore 1', 'snapshot', 'restore', 'snapshot', '--to', golden('v1'))
  await run('restore 2', 'snapshot', 'restore', 'snapshot', '--to', golden('v2'), '--migrate', 'faulty.sql')
  await say(
    'restore refused',
    'snapshot',
    'restore',
    'snapshot',
    '--to',
    golden('v3'),
    '--migrate',
    `echo "SELECT name::int FROM clinic.patient" | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"`,
  )
  for (const [out, version] of [
    ['baseline', 'v1'],
    ['noise', 'v1'],
    ['candidate', 'v2'],
    ['killed', 'v1'],
  ] as const) {
    // A noise run and a killed replay are files like the others.
    if (policy === KEEP_EVERYTHING && (out === 'noise' || out === 'killed')) continue
    await run(`clone ${out}`, 'snapshot', 'clone', golden(version), '--as', out)
    const replay = ['replay', 'recording', '--target', withDatabase(shadows.url(), out), '--out', `${out}.run`]
    if (out === 'killed') await runUntil(() => someBytes(folder, /^killed\.run/), 'killed replay', ...replay)
    else await run(`replay ${out}`, ...replay, '--speed', 'max', '--role', out)
  }
  await say('inspect run', 'inspect', 'candidate.run')
  const noise = policy === KEEP_EVERYTHING ? [] : ['--noise', 'noise.run']
  await run('compare', 'compare', 'baseline.run', 'candidate.run', ...noise, '--out', 'rehearsal.diff')
  await say('compare production', 'compare', 'recording', 'baseline.run', '--out', 'production.diff')
  await say('explain', 'compare', 'baseline.run', 'candidate.run', '--explain', '30')
  const [from, to] = [withDatabase(shadows.url(), 'baseline'), withDatabase(shadows.url(), 'candidate')]
  await run(
    'verify',
    'verify',
    '--from',
    from,
    '--to',
    to,
    '--baseline',
    'baseline.run',
    '--candidate',
    'candidate.run',
    '--diff',
    'rehearsal.diff',
  )
  await say('inspect diff', 'inspect', 'rehearsal.diff')
  await run(
    'report',
    'report',
    'rehearsal.diff',
    '--html',
    'out/page.html',
    '--junit',
    'out/junit.xml',
    '--json',
    'out/report.json',
    '--markdown',
    'out/comment.md',
    '--prometheus',
    'out/figures.prom',
    '--csv',
    'out/discrepancies.csv',
  )
  await say('report production', 'report', 'production.diff', '--html', 'out/production.html')
  await say('gate', 'gate', 'rehearsal.diff')
  for (const { findingId: id } of findings(join(folder, 'out/report.json')).slice(0, 2)) {
    await run(`reproduce ${id}`, 'reproduce', 'rehearsal.diff', id)
    await say(
      `reproduce run ${id}`,
      'reproduce',
      'rehearsal.diff',
      id,
      '--run',
      '--before',
      golden('v1'),
      '--after',
      golden('v2'),
    )
  }
  await say(
    'audit',
    'policy',
    'audit',
    'recording',
    'snapshot',
    'baseline.run',
    'rehearsal.diff',
    'out',
    '--from',
    live,
    '--policy',
    'policy.yaml',
  )
  writeFileSync(
    join(folder, 'pgrehearse.yaml'),
    `recording: recording\nsnapshot: snapshot\nout: killed-run\nserver: "${shadows.url()}"\nv2: {migrate: [faulty.sql]}\nreplay: {speed: max}\n`,
  )
  await runUntil(() => someBytes(folder, /^killed-run\/candidate.*run/), 'killed run', 'run')

  return {
    folder,
    said,
    async rowsWithCanaries() {
      const rows: string[] = []
      const databases = ['golden_v1', 'golden_v2', 'baseline', 'candidate', ...(noise.length > 0 ? ['killed'] : [])]
      for (const database of databases)
        for (const [table, all] of Object.entries(await withClient(withDatabase(shadows.url(), database), contents)))
          for (const row of all) if (search(Buffer.from(row)).length > 0) rows.push(`${database} ${table}: ${row}`)
      return rows
    },
  }
}

function until(there: () => boolean | Promise<boolean>): Promise<unknown> {
  return vi.waitUntil(there, { interval: 5, timeout: 120_000 })
}

function someBytes(folder: string, name: RegExp, bytesMin = 1): boolean {
  return filesUnder(folder).some((file) => {
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
    return bytes >= bytesMin && name.test(file.slice(folder.length + 1))
  })
}

/** Those that have an example. */
function findings(report: string): readonly { readonly findingId: string }[] {
  return JSON.parse(readFileSync(report, 'utf8')).findings
}
