import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { balances } from '../../segment/ledger.js'
import { openRecording } from '../../segment/recording.js'
import { createRecording } from '../../segment/recording-writer.js'
import { recoverRecording } from '../../segment/recover.js'
import { isUnborn } from '../../segment/sqlite.js'
import { FACTS, SESSION, statement } from './examples.js'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segment-'))
  path = join(folder, 'rec')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Lets a process write until it has acknowledged so many statements, kills it, and says what it acknowledged. */
async function writeUntilKilled(statements: number, segmentBytesMax: number): Promise<number> {
  const script = fileURLToPath(new URL('./crash-writer.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', script, path, String(segmentBytesMax)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (acknowledged() >= statements) child.kill('SIGKILL')
  })
  const acknowledged = () => Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1) ?? 0)
  await once(child, 'close')
  expect(child.signalCode).toBe('SIGKILL')
  return acknowledged()
}

describe('a writer killed with SIGKILL', () => {
  test.each([
    { name: 'in its first segment', statements: 30, segmentBytesMax: 1 << 30 },
    { name: 'some segments later', statements: 3000, segmentBytesMax: 200_000 },
    { name: 'while it seals all the time', statements: 300, segmentBytesMax: 1 },
  ])(
    '$name loses nothing that it acknowledged, and no part of a transaction',
    async ({ statements, segmentBytesMax }) => {
      const acknowledged = await writeUntilKilled(statements, segmentBytesMax)

      const interrupted = openRecording(path)
      const seqs = [...interrupted.statements()].map(({ seq }) => seq)
      expect(seqs.length).toBeGreaterThanOrEqual(acknowledged)
      expect(seqs).toEqual(seqs.map((_, i) => i + 1))
      expect(seqs.length % 3).toBe(0)
      expect(interrupted.sessions()).toEqual([SESSION])
      expect(interrupted.manifest.ledger.kept.statements).toBe(seqs.length)
      expect(balances(interrupted.manifest.ledger)).toBe(true)
      interrupted.close()

      const unsealed = interrupted.recovered
      const recovery = recoverRecording(path)
      if (unsealed === null) expect(recovery.state).toBe('whole')
      else expect(recovery).toMatchObject({ state: 'recovered', statements: unsealed.statements, unreadable: [] })

      const whole = openRecording(path)
      expect([...whole.statements()].map(({ seq }) => seq)).toEqual(seqs)
      expect(whole.recovered).toBeNull()
      whole.close()
    },
  )
})

test('a file whose change a kill cut short is read as it was before', async () => {
  const file = join(folder, 'cut.sqlite')
  // More than the cache holds, so that half of the change is in the file already.
  const script = `
    const db = new (require('better-sqlite3'))(process.argv[1])
    db.exec('CREATE TABLE kept (x); INSERT INTO kept VALUES (1)')
    db.pragma('cache_size = 1')
    db.exec("BEGIN; CREATE TABLE cut (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO cut SELECT randomblob(500) FROM n")
    console.log('half way')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  child.kill('SIGKILL')
  await once(child, 'close')
  expect(existsSync(`${file}-journal`)).toBe(true)
  expect(isUnborn(file)).toBe(false)
  const db = new Database(file, { readonly: true })
  expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['kept'])
  db.close()
})

describe('an interrupted recording', () => {
  test('is left alone while it still runs', () => {
    const writer = createRecording(path, FACTS)
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    expect(recoverRecording(path).state).toBe('running')
    writer.write([{ scope: 'READ_ONLY', statements: [statement(2)] }])

    const running = openRecording(path)
    expect([...running.statements()].map(({ seq }) => seq)).toEqual([1, 2])
    running.close()
    writer.close(0)
  })

  test('counts as lost what was seen and never written', () => {
    const writer = createRecording(path, FACTS)
    writer.seen({ statements: 5, transactions: 2 })
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    writer.abandon()
    recoverRecording(path)
    const { ledger } = openRecording(path).manifest
    expect(ledger.lost).toEqual({ 'recording not closed': { statements: 4, transactions: 1 } })
    expect(balances(ledger)).toBe(true)
  })

  test('with a tail that is torn keeps all that was sealed, and says so', () => {
    const writer = createRecording(path, FACTS)
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    writer.seal()
    writer.write([{ scope: 'READ_ONLY', statements: [statement(2)] }])
    writer.abandon()
    truncateSync(join(path, 'segments/000002.sqlite.open'), 5000)

    const reader = openRecording(path)
    expect([...reader.statements()].map(({ seq }) => seq)).toEqual([1])
    expect(reader.recovered?.unreadable).toEqual([join(path, 'segments/000002.sqlite.open')])
    reader.close()
  })

  test('with a segment that was sealed just before the manifest could say so', () => {
    const writer = createRecording(path, FACTS)
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    copyFileSync(join(path, 'manifest.json'), join(folder, 'older.json'))
    writer.seal()
    copyFileSync(join(folder, 'older.json'), join(path, 'manifest.json'))

    const reader = openRecording(path)
    expect(reader.recovered).toMatchObject({ statements: 1, unreadable: [] })
    expect([...reader.statements()].map(({ seq }) => seq)).toEqual([1])
    reader.close()
    expect(recoverRecording(path)).toMatchObject({ state: 'recovered', segments: ['000001.sqlite'] })
  })

  test('with a segment that could not be sealed before the rest went on', () => {
    const writer = createRecording(path, FACTS)
    writer.seen({ statements: 2, transactions: 2 })
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    writer.abandon()
    writer.write([{ scope: 'READ_ONLY', statements: [statement(2)] }])
    const { ledger } = writer.close(0)

    const reader = openRecording(path)
    expect([...reader.statements()].map(({ seq }) => seq)).toEqual([1, 2])
    reader.close()
    expect(recoverRecording(path)).toMatchObject({ state: 'recovered', statements: 1 })
    expect(openRecording(path).manifest).toMatchObject({ ledger, segments: [{ seqFirst: 2 }, { seqFirst: 1 }] })
    expect(recoverRecording(path).state).toBe('whole')
  })

  test('an empty file where the next segment would have begun is no loss', () => {
    const writer = createRecording(path, FACTS)
    writer.write([{ scope: 'READ_ONLY', statements: [statement(1)] }])
    writer.seal()
    writer.abandon()
    writeFileSync(join(path, 'segments/000002.sqlite.open'), '')
    expect([...openRecording(path).statements()].map(({ seq }) => seq)).toEqual([1])
  })
})
