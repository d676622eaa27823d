import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRecording } from '../../segment/recording.js'
import { createRecording } from '../../segment/recording-writer.js'
import { resultSha256 } from '../../segment/result-sha.js'
import { anyTransactions, FACTS, SESSION, statement } from './examples.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segment-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const one = (seq: number) => ({ scope: 'READ_ONLY' as const, statements: [statement(seq)] })

describe('round trip', () => {
  test('whatever is written is read back, in the order of sending, whatever the segments', () => {
    let round = 0
    fc.assert(
      fc.property(anyTransactions, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (transactions, seals) => {
        const path = join(folder, `rec-${round++}`)
        const writer = createRecording(path, FACTS)
        transactions.forEach((transaction, index) => {
          writer.write([transaction])
          if (seals[index]) writer.seal()
        })
        writer.close(FACTS.startedAtMs + 1000)

        const reader = openRecording(path)
        const expected = transactions
          .flatMap(({ scope, statements }) => statements.map((each) => ({ ...each, scope })))
          .sort((a, b) => a.seq - b.seq)
        expect([...reader.statements()]).toEqual(expected)
        expect(reader.statementCount).toBe(expected.length)
        for (const each of expected.slice(0, 3)) expect(reader.statement(each.seq)).toEqual(each)
        reader.close()
      }),
      { numRuns: 30 },
    )
  })

  test('sessions, events, incidents and the ledger', () => {
    const path = join(folder, 'rec')
    const writer = createRecording(path, FACTS)
    const event = { session: 1, atUs: 900, kind: 'cancel', detail: { victim: 3 } } as const
    writer.session(SESSION)
    writer.seen({ statements: 3, transactions: 3 })
    writer.account('lost', 'ring full', { statements: 1, transactions: 1 })
    writer.write([one(1), one(2)])
    writer.event(event)
    writer.incident({ atUs: 1000, kind: 'pause', detail: 'asked' })
    const manifest = writer.close(FACTS.startedAtMs + 1000)

    const reader = openRecording(path)
    expect(reader.manifest).toEqual(manifest)
    expect(reader.sessions()).toEqual([SESSION])
    expect([...reader.events()]).toEqual([event])
    expect(reader.manifest.incidents).toEqual([{ atUs: 1000, kind: 'pause', detail: 'asked' }])
    expect(reader.manifest.ledger).toEqual({
      seen: { statements: 3, transactions: 3 },
      kept: { statements: 2, transactions: 2 },
      filtered: {},
      skipped: {},
      lost: { 'ring full': { statements: 1, transactions: 1 } },
    })
    reader.close()
  })

  test('what some sessions sent, for those who only send it again', () => {
    const path = join(folder, 'rec')
    const writer = createRecording(path, FACTS)
    const all = Array.from({ length: 400 }, (_, i) => statement(i + 1, { session: i % 3 }))
    writer.write([{ scope: 'READ_ONLY', statements: all.slice(0, 200) }])
    writer.seal()
    writer.write([{ scope: 'READ_ONLY', statements: all.slice(200) }])
    writer.close(0)
    const reader = openRecording(path)
    const sent = all.filter(({ session }) => session !== 1)
    const scripts = sent.map(({ fingerprint: _, parameters: __, outcome: ___, ...script }) => script)
    expect([...reader.scripts([0, 2])]).toEqual(scripts)
    expect([...reader.statements(350)].map(({ seq }) => seq)).toEqual(all.slice(349).map(({ seq }) => seq))
    reader.close()
  })

  test('the timeline has every statement once, in order, with texts shared over segments', () => {
    const path = join(folder, 'rec')
    const writer = createRecording(path, FACTS)
    writer.write([one(3), one(1)])
    writer.seal()
    writer.write([{ scope: 'READ_WRITE', statements: [statement(2)] }])
    writer.close(0)

    const timeline = openRecording(path).timeline()
    expect([...timeline.seq]).toEqual([1, 2, 3])
    expect([...timeline.sentUs]).toEqual([100, 200, 300])
    expect([...timeline.readWrite]).toEqual([0, 1, 0])
    expect([...timeline.textId]).toEqual([0, 0, 0])
    expect(timeline.texts).toEqual([{ sql: statement(1).sql, fingerprint: statement(1).fingerprint }])
  })
})

test('anyone with the sqlite3 shell can query the log', () => {
  const path = join(folder, 'rec')
  const writer = createRecording(path, FACTS)
  writer.write([
    {
      scope: 'READ_WRITE',
      statements: [statement(7, { parameters: ['7', null], sentUs: 2_500_000, doneUs: 2_501_250 })],
    },
    { scope: 'READ_ONLY', statements: [statement(8, { sql: '' as never, frames: [['S']] })] },
  ])
  writer.close(0)

  const db = new Database(join(path, 'segments/000001.sqlite'), { readonly: true })
  expect(db.prepare('SELECT * FROM query_log').all()).toEqual([
    {
      trace_id: 'c0ffee00-7',
      mirrored_at: FACTS.startedAtMs + 2500,
      transaction_scope: 'READ_WRITE',
      sql_statement: statement(7).sql,
      parameters: '["7",null]',
      production_result_digest: resultSha256(statement(7).outcome),
      execution_duration_ms: 1.25,
    },
  ])
  db.close()
})
