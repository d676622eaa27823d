import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXIT, HarnessError } from '../../base/errors.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { kindOf } from '../../segment/kind.js'
import { openRecording } from '../../segment/recording.js'
import { createRecording } from '../../segment/recording-writer.js'
import { createRun, openRun } from '../../segment/run-file.js'
import { FACTS, RUN_FACTS, runRow, statement } from './examples.js'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segment-'))
  path = join(folder, 'rec')
})
afterEach(() => rmSync(folder, { recursive: true }))

function record(): void {
  const writer = createRecording(path, FACTS)
  for (let seq = 1; seq <= 200; seq++) writer.write([{ scope: 'READ_ONLY', statements: [statement(seq)] }])
  writer.close(0)
}

const segment = () => join(path, 'segments/000001.sqlite')

function refusal(work: () => unknown): HarnessError {
  try {
    work()
  } catch (error) {
    if (error instanceof HarnessError) return error
    throw error
  }
  throw new Error('it was not refused')
}

function changeManifest(changes: object): void {
  const file = join(path, 'manifest.json')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }))
}

describe('a recording that cannot be trusted is refused with one clear error', () => {
  test.each<{ name: string; spoil: () => void; code: string; exit: number; names: string }>([
    {
      name: 'nothing there',
      spoil: () => rmSync(path, { recursive: true }),
      code: 'RECORDING_MISSING',
      exit: 2,
      names: 'rec',
    },
    {
      name: 'no manifest',
      spoil: () => rmSync(join(path, 'manifest.json')),
      code: 'NOT_A_RECORDING',
      exit: 2,
      names: 'rec',
    },
    {
      name: "somebody else's manifest",
      spoil: () => changeManifest({ format: 'a web app' }),
      code: 'NOT_A_RECORDING',
      exit: 2,
      names: 'rec',
    },
    {
      name: 'a torn manifest',
      spoil: () => truncateSync(join(path, 'manifest.json'), 100),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: 'manifest',
    },
    {
      name: 'a manifest without a ledger',
      spoil: () => changeManifest({ ledger: null }),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: 'manifest',
    },
    {
      name: 'a manifest that points elsewhere',
      spoil: () => changeManifest({ segments: [{ file: '../../etc/passwd' }] }),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: 'manifest',
    },
    {
      name: 'a newer recording',
      spoil: () => changeManifest({ formatVersion: 99 }),
      code: 'RECORDING_TOO_NEW',
      exit: 2,
      names: 'rec',
    },
    {
      name: 'a newer segment',
      spoil: () => setVersion(segment(), 99),
      code: 'SEGMENT_TOO_NEW',
      exit: 2,
      names: '000001.sqlite',
    },
    {
      name: 'a missing segment',
      spoil: () => rmSync(segment()),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: '000001.sqlite',
    },
    {
      name: 'a truncated segment',
      spoil: () => truncateSync(segment(), 20_000),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: '000001.sqlite',
    },
    {
      name: 'a changed segment',
      spoil: () => flipByte(segment(), 30_000),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: '000001.sqlite',
    },
    {
      name: 'a segment of something else',
      spoil: () => writeFileSync(segment(), 'x'.repeat(statSync(segment()).size)),
      code: 'RECORDING_DAMAGED',
      exit: 4,
      names: '000001.sqlite',
    },
  ])('$name', ({ spoil, code, exit, names }) => {
    record()
    spoil()
    const error = refusal(() => openRecording(path))
    expect(error).toMatchObject({ code, exit })
    expect(error.message).toContain(names)
    expect(error.hint).toMatch(/\.$/)
  })
})

function setVersion(file: string, version: number): void {
  const db = new Database(file)
  db.pragma(`user_version = ${version}`)
  db.close()
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at]! ^= 1
  writeFileSync(file, bytes)
}

describe('nothing is overwritten', () => {
  test('a recording, unless forced', () => {
    record()
    expect(refusal(() => createRecording(path, FACTS))).toMatchObject({ code: 'TARGET_EXISTS', exit: EXIT.usage })
    createRecording(path, FACTS, { force: true }).close(0)
    expect(openRecording(path).statementCount).toBe(0)
  })

  test('a folder that is no recording, even when forced', () => {
    mkdirSync(path)
    writeFileSync(join(path, 'thesis.txt'), 'years of work')
    expect(refusal(() => createRecording(path, FACTS, { force: true })).code).toBe('TARGET_EXISTS')
    expect(readdirSync(path)).toEqual(['thesis.txt'])
  })

  test('an empty folder is as good as none', () => {
    mkdirSync(path)
    createRecording(path, FACTS).close(0)
    expect(openRecording(path).statementCount).toBe(0)
  })

  test('a run and a diff, unless forced', () => {
    createRun(path).close(RUN_FACTS)
    expect(refusal(() => createRun(path))).toMatchObject({ code: 'TARGET_EXISTS', exit: EXIT.usage })
    expect(refusal(() => createDiff(path)).code).toBe('TARGET_EXISTS')
    createRun(path, { force: true }).close(RUN_FACTS)
    expect(openRun(path).facts).toEqual(RUN_FACTS)
  })
})

describe('runs and diffs', () => {
  test('an interrupted run is not a run', () => {
    const writer = createRun(path)
    writer.write([runRow(1)])
    writer.abandon()
    expect(refusal(() => openRun(path))).toMatchObject({ code: 'RUN_MISSING', exit: EXIT.usage })
  })

  test('one is not taken for the other', () => {
    createRun(path).close(RUN_FACTS)
    expect(refusal(() => openDiff(path)).code).toBe('NOT_A_DIFF')
    expect(kindOf(path)).toBe('run')
  })

  test('a newer run', () => {
    createRun(path).close(RUN_FACTS)
    setVersion(path, 99)
    expect(refusal(() => openRun(path))).toMatchObject({ code: 'RUN_TOO_NEW', exit: EXIT.usage })
  })

  test('something else', () => {
    writeFileSync(path, 'a letter to a friend, long enough to be mistaken for a page of a database'.repeat(100))
    expect(refusal(() => openRun(path)).code).toBe('NOT_A_RUN')
    expect(refusal(() => kindOf(path)).code).toBe('NOT_OURS')
  })
})

test('nobody but the owner can read what was recorded', () => {
  const writer = createRecording(path, FACTS)
  writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
  writer.seal()
  writer.write([{ scope: 'READ_ONLY', statements: [statement(2)] }])
  const modes = Object.fromEntries(
    readdirSync(path, { recursive: true }).map((name) => [name, statSync(join(path, String(name))).mode & 0o777]),
  )
  writer.close(0)
  expect(modes).toEqual({
    'manifest.json': 0o600,
    reserve: 0o600,
    segments: 0o700,
    'segments/000001.sqlite': 0o600,
    'segments/000002.sqlite.open': 0o600,
    'segments/000002.sqlite.open-shm': 0o600,
    'segments/000002.sqlite.open-wal': 0o600,
  })
  expect(statSync(path).mode & 0o777).toBe(0o700)
})

test('a failed write leaves nothing behind, and the next one works', () => {
  const writer = createRecording(path, FACTS)
  const fresh = statement(2, { sql: 'SELECT now()' as never })
  writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
  const twice = () => writer.write([{ scope: 'READ_ONLY', statements: [fresh, statement(1)] }])
  expect(twice).toThrow(/UNIQUE/)
  writer.write([{ scope: 'READ_ONLY', statements: [fresh] }])
  writer.close(0)
  const reader = openRecording(path)
  expect([...reader.statements()].map(({ sql }) => sql)).toEqual([statement(1).sql, fresh.sql])
  expect(reader.manifest.ledger.kept).toEqual({ statements: 2, transactions: 2 })
})
