/** `report --postgres`: the discrepancy table in a PostgreSQL of the user's. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exportDiscrepancies, parseTableName } from '../../cli/discrepancy-table.js'
import { writeMarker } from '../../replayer/shadow/marker.js'
import type { Discrepancy } from '../../segment/diff.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { pgrehearse as runIn } from '../reports/command-line.js'
import { sample } from '../reports/sample.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const ODD = '",\'\r\n\\N\t\u202e;\\.\r\n\\.\n$$\u0000\ud800'
const TABLE = 'comparator_discrepancy_log'

let folder: string
let database: TestDatabase
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-table-'))
  writeDiff('plain')
  writeDiff('odd', (one) => ({ ...one, sql: ODD, traceId: ODD, parameters: [ODD, null] }))
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(async () => {
  database = await createDatabase()
  return () => database.drop()
})

function writeDiff(name: string, plant: (one: Discrepancy) => Discrepancy = (one) => one): void {
  const source = sample({
    kind: 'FAIL',
    discrepancies: 300,
    plant: (one) => plant({ ...one, alertId: `${name}-${one.alertId}` }),
  })
  const diff = createDiff(join(folder, name))
  for (const finding of source.findings()) diff.finding(finding)
  for (const discrepancy of source.discrepancies()) diff.discrepancy(discrepancy)
  for (const row of source.latency()) diff.latency(row)
  diff.close(source.facts)
}

function discrepanciesOf(name: string): Discrepancy[] {
  const diff = openDiff(join(folder, name))
  try {
    return [...diff.discrepancies()]
  } finally {
    diff.close()
  }
}

const report = (diff: string, ...args: string[]) =>
  runIn(folder, 'report', join(folder, diff), '--postgres', database.url, ...args)

async function rowsOf(table = TABLE): Promise<number> {
  return (await database.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0].n
}

/** PostgreSQL's text has neither NUL nor halves of characters. */
const asText = (captured: string) => Buffer.from(captured).toString().replaceAll('\u0000', '\u2400')

describe('the table', () => {
  test('is made with the columns of the diff’s own, its key, its kinds and its indexes', async () => {
    const { exit, out } = await report('plain')
    expect(exit).toBe(0)
    expect(out).toContain(`postgres   "${TABLE}" in ${database.name} on`)
    const { rows } = await database.query(
      `SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
        WHERE attrelid = '${TABLE}'::regclass AND attnum > 0 ORDER BY attnum`,
    )
    expect(rows.map(({ attname, type }) => `${attname} ${type}`)).toEqual([
      'alert_id text',
      'trace_id text',
      'sql_statement text',
      'mismatch_type text',
      'production_response_digest text',
      'shadow_response_digest text',
      'production_latency_ms double precision',
      'shadow_latency_ms double precision',
      'discrepancy_json json',
      'created_at timestamp with time zone',
    ])
    const indexes = await database.query(`SELECT indexdef FROM pg_indexes WHERE tablename = '${TABLE}' ORDER BY 1`)
    expect(indexes.rows.map(({ indexdef }) => /\(.*\)$/.exec(indexdef)![0])).toEqual([
      '(created_at DESC)',
      '(mismatch_type, created_at DESC)',
      '(alert_id)',
    ])
    await expect(database.query(`UPDATE ${TABLE} SET mismatch_type = 'ODD'`)).rejects.toMatchObject({ code: '23514' })
  })

  test('holds every discrepancy as it is in the diff, whatever was captured', async () => {
    await report('odd')
    const all = discrepanciesOf('odd')
    const { rows } = await database.query(
      `SELECT *, discrepancy_json::text AS json FROM ${TABLE} ORDER BY alert_id COLLATE "C"`,
    )
    expect(rows.length).toBe(all.length)
    const byId = new Map(all.map((one) => [one.alertId, one]))
    for (const row of rows) {
      const one = byId.get(row.alert_id)!
      expect(row).toMatchObject({
        trace_id: asText(one.traceId),
        sql_statement: asText(one.sql),
        mismatch_type: one.mismatch,
        production_response_digest: one.digestBefore,
        shadow_latency_ms: one.latencyMsAfter,
        created_at: new Date(one.atMs),
      })
      expect(JSON.parse(row.json)).toMatchObject({ findingId: one.findingId, seq: one.seq, parameters: [ODD, null] })
    }
  })

  test('gets a diff once, and collects those of many rehearsals', async () => {
    await report('plain')
    const first = await rowsOf()
    const again = JSON.parse((await report('plain', '--json')).out)
    expect(again.postgres).toMatchObject({ added: 0, known: first })
    await report('odd')
    expect(await rowsOf()).toBe(2 * first)
  })

  test('may have any name, in any schema', async () => {
    await database.query('CREATE SCHEMA "Odd ""one"""')
    expect(await report('plain', '--postgres-table', 'Odd "one".T; DROP')).toMatchObject({ exit: 0, err: '' })
    expect(await rowsOf('"Odd ""one"""."T; DROP"')).toBe(discrepanciesOf('plain').length)
  })

  test('may have columns of its owner’s beside', async () => {
    await report('plain')
    await database.query(`TRUNCATE ${TABLE}; ALTER TABLE ${TABLE} ADD COLUMN triaged_by text`)
    expect((await report('plain')).exit).toBe(0)
    expect(await rowsOf()).toBeGreaterThan(0)
  })
})

describe('is refused', () => {
  test.each([
    {
      name: 'a table of another shape',
      sql: `CREATE TABLE ${TABLE} (alert_id text PRIMARY KEY)`,
      says: 'lacks the column trace_id,',
    },
    {
      name: 'a table without the key',
      sql: `CREATE TABLE ${TABLE} AS SELECT 1 AS alert_id`,
      says: 'a unique key on alert_id',
    },
    { name: 'a view', sql: `CREATE VIEW ${TABLE} AS SELECT 1 AS alert_id`, says: 'a unique key on alert_id' },
  ])('$name, and stays as it was', async ({ sql, says }) => {
    await database.query(sql)
    const { exit, err } = await report('plain')
    expect([exit, err]).toEqual([2, expect.stringContaining(says)])
    expect(
      (await database.query(`SELECT count(*) FROM pg_attribute WHERE attrelid = '${TABLE}'::regclass AND attnum > 0`))
        .rows[0].count,
    ).toBe('1')
  })

  test('a golden or a shadow', async () => {
    const marker = { snapshotId: 's', role: 'golden', createdAtMs: 0, policyHash: '', keyFingerprint: '' } as const
    await writeMarker(database, database.name, marker)
    expect(await report('plain')).toMatchObject({ exit: 2, err: expect.stringContaining('it is a golden') })
  })

  test('a server that is not there: exit 4, and the files of the report are written', async () => {
    const { exit, err } = await runIn(
      folder,
      'report',
      join(folder, 'plain'),
      '--postgres',
      'postgres://u:secret@127.0.0.1:1/x',
      '--csv',
      join(folder, 'all.csv'),
    )
    expect([exit, err]).toEqual([4, expect.stringContaining('SERVER_UNREACHABLE')])
    expect(err).not.toContain('secret')
  })

  test.each(['', 'a.b.c', '.t', 's.', 'x'.repeat(64)])('%j as a name', (name) => {
    expect(() => parseTableName(name)).toThrow('--postgres-table')
  })
})

describe('all or nothing', () => {
  test('a server that refuses a row: nothing is there, and no captured value is told', async () => {
    await report('plain')
    await database.query(`TRUNCATE ${TABLE}; ALTER TABLE ${TABLE} ALTER COLUMN discrepancy_json TYPE jsonb`)
    const { exit, err } = await report('odd')
    expect([exit, err]).toEqual([4, expect.stringContaining('the server says 22P05; nothing was written')])
    expect(err).not.toContain('202e')
    expect(await rowsOf()).toBe(0)
  })

  test('interrupted in the middle: nothing is there', async () => {
    const diff = openDiff(join(folder, 'plain'))
    const stop = new AbortController()
    function* interruptedAfter(many: number) {
      for (const one of diff.discrepancies()) {
        if (many-- === 0) stop.abort()
        yield one
      }
    }
    const source = { discrepancies: () => interruptedAfter(100) } as unknown as typeof diff
    await expect(exportDiscrepancies(source, database.url, parseTableName(TABLE), stop.signal)).rejects.toThrow()
    expect((await database.query(`SELECT to_regclass('${TABLE}') AS there`)).rows[0].there).toBeNull()
    diff.close()
  })

  test('two at once: one table, each row once', async () => {
    const both = await Promise.all([report('plain'), report('plain')])
    expect(both.map(({ exit }) => exit)).toEqual([0, 0])
    expect(await rowsOf()).toBe(discrepanciesOf('plain').length)
  })
})
