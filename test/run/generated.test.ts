/**
 * Generated values: what production was given, exchanged for what this run was given, by column and never by text alone.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { createGenerated } from '../../replayer/run/generated.js'
import type { Script } from '../../replayer/run/job.js'
import { createPairLog, Pairs } from '../../replayer/run/pairs.js'
import type { Outcome } from '../../segment/outcome.js'
import type { SafeSql } from '../../segment/statement.js'
import { loadParser } from '../../sql/parse.js'
import { BINARY, bindParameters, buildBindRest, TEXT } from '../../wire/bind.js'
import { CATALOG } from '../plan/script.js'

const INSERT = "INSERT INTO notes (text) VALUES ('x') RETURNING id"

beforeAll(() => loadParser())

describe('production drew 5 where this run drew 6', () => {
  test.each([
    ['a text parameter', TEXT, Buffer.from('5'), Buffer.from('6')],
    ['a binary integer', BINARY, Buffer.from([0, 0, 0, 5]), Buffer.from([0, 0, 0, 6])],
    ['a binary bigint', BINARY, Buffer.from([0, 0, 0, 0, 0, 0, 0, 5]), Buffer.from([0, 0, 0, 0, 0, 0, 0, 6])],
  ])('%s of that column says 6', (_, format, sent, expected) => {
    const bind = buildBindRest([sent, Buffer.from('5')], [format, TEXT])
    const { bind: rest } = drawn().before(script('UPDATE notes SET account_id = $2 WHERE id = $1', bind))
    const { values } = bindParameters(rest!)!
    expect(Buffer.from(values[0]!)).toEqual(expected)
    expect(Buffer.from(values[1]!).toString()).toBe('5') // Another column's 5 stays.
  })

  test.each([
    ['SELECT * FROM notes WHERE id = 5', 'SELECT * FROM notes WHERE id = 6'],
    ["SELECT * FROM notes WHERE id = '5'", "SELECT * FROM notes WHERE id = '6'"],
    [
      'SELECT * FROM notes WHERE id IN (4, 5) AND account_id = 5',
      'SELECT * FROM notes WHERE id IN (4, 6) AND account_id = 5',
    ],
    ['SELECT * FROM notes WHERE id = 55', 'SELECT * FROM notes WHERE id = 55'],
    ['SELECT * FROM jobs WHERE id = 5', 'SELECT * FROM jobs WHERE id = 5'],
  ])('%s', (recorded, sent) => expect(drawn().before(script(recorded)).sql).toBe(sent))
})

test('where both drew the same, nothing is exchanged', () => {
  const statement = script('SELECT * FROM notes WHERE id = 5')
  expect(drawn('5').before(statement)).toBe(statement)
})

describe('what teaches that a row has another key here', () => {
  const NOTES = { id: column('id', 1), account_id: column('account_id', 2), text: column('text', 3) }
  type Shown = Partial<Record<keyof typeof NOTES, string>>

  /** What the replay asks for in place of note 5, after `sql` answered so there and so here. */
  function askedFor(sql: string, was: readonly Shown[], is: readonly Shown[], more: Partial<typeof CATALOG> = {}) {
    const recorded = answer(sql, was)
    const pairs = new Pairs(createPairLog())
    const remap = createGenerated({ catalog: { ...CATALOG, ...more }, pairs, recorded: () => recorded })!
    remap.after(script(sql), answer(sql, is))
    return /id = (.+)$/.exec(remap.before(script('SELECT * FROM notes WHERE id = 5')).sql)?.[1]
  }

  function answer(sql: string, rows: readonly Shown[]): Outcome {
    const names = Object.keys(rows[0] ?? {}) as (keyof typeof NOTES)[]
    return {
      error: null,
      tag: `${sql.slice(0, 6)} ${rows.length}`,
      rowCount: rows.length,
      columns: names.map((name) => NOTES[name]),
      rows: rows.map((row) => names.map((name) => row[name] ?? null)),
    } as unknown as Outcome
  }

  const VALUES = "INSERT INTO notes (text) VALUES ('a'), ('b') RETURNING id, text"
  const COPY = 'INSERT INTO notes (text) SELECT text FROM drafts RETURNING id, text'
  const UPSERT = "INSERT INTO notes (id, text) VALUES (5, 'a') ON CONFLICT (id) DO UPDATE SET text = 'b' RETURNING id"
  const ALL_OR_NONE = "INSERT INTO notes (text) VALUES ('a'), ('b') ON CONFLICT DO NOTHING RETURNING id, text"
  const CTE = "WITH made AS (INSERT INTO notes (text) VALUES ('a') RETURNING id) SELECT id FROM made"
  const BESIDE = 'WITH made AS (INSERT INTO jobs (state) VALUES ($1) RETURNING id) SELECT notes.id FROM notes, made'
  test.each([
    { name: 'an INSERT', sql: INSERT, was: [{ id: '5' }], is: [{ id: '6' }] },
    { name: 'one below WITH', sql: CTE, was: [{ id: '5' }], is: [{ id: '6' }] },
    {
      name: 'an INSERT of several, in their order, whatever V2 made of the rest',
      sql: VALUES,
      was: [
        { id: '4', text: 'a' },
        { id: '5', text: 'b' },
      ],
      is: [
        { id: '7', text: 'A' },
        { id: '6', text: 'B' },
      ],
    },
    {
      name: 'an INSERT of rows that are read, where they are the same ones',
      sql: COPY,
      was: [
        { id: '4', text: 'a' },
        { id: '5', text: 'b' },
      ],
      is: [
        { id: '7', text: 'a' },
        { id: '6', text: 'b' },
      ],
    },
  ])('$name', ({ sql, was, is }) => expect(askedFor(sql, was, is)).toBe('6'))

  test.each([
    { name: 'a SELECT: V2 may show another row', sql: 'SELECT id FROM notes', was: [{ id: '5' }], is: [{ id: '6' }] },
    {
      name: 'an UPDATE, for the same reason',
      sql: "UPDATE notes SET text = 'x' WHERE id IN (SELECT id FROM notes ORDER BY id DESC LIMIT 1) RETURNING id",
      was: [{ id: '5' }],
      is: [{ id: '6' }],
    },
    { name: 'an INSERT into another table', sql: BESIDE, was: [{ id: '5' }], is: [{ id: '6' }] },
    {
      name: 'rows that are read in another order',
      sql: COPY,
      was: [
        { id: '4', text: 'a' },
        { id: '5', text: 'b' },
      ],
      is: [
        { id: '7', text: 'b' },
        { id: '6', text: 'a' },
      ],
    },
    {
      name: 'rows of which others were left out',
      sql: ALL_OR_NONE,
      was: [{ id: '5', text: 'a' }],
      is: [{ id: '6', text: 'b' }],
    },
    { name: 'other columns', sql: INSERT, was: [{ id: '5' }], is: [{ account_id: '6' }] },
    {
      name: 'more rows than there were',
      sql: INSERT,
      was: [{ id: '5' }],
      is: [{ id: '6' }, { id: '7' }],
    },
  ])('not $name', ({ sql, was, is }) => expect(askedFor(sql, was, is)).toBe('5'))

  test('an upsert only with numbers that the sequence had not reached: others are of rows that were there', () => {
    const at = (next: number) => ({
      relations: CATALOG.relations.map((one) => (one.oid === 101 ? { ...one, position: { next, increment: 1 } } : one)),
    })
    expect(askedFor(UPSERT, [{ id: '5' }], [{ id: '6' }], at(5))).toBe('6')
    expect(askedFor(UPSERT, [{ id: '5' }], [{ id: '6' }], at(6))).toBe('5')
  })

  describe('a row that was not made here', () => {
    const notes = (seq: number, answers: Readonly<Record<number, readonly Shown[]>>) => {
      const pairs = new Pairs(createPairLog())
      const recorded = answer(INSERT, [{ id: '5' }])
      const remap = createGenerated({ catalog: CATALOG, pairs, recorded: () => recorded })!
      for (const [at, rows] of Object.entries(answers))
        remap.after({ ...script(INSERT), seq: Number(at) }, answer(INSERT, rows))
      return (sql: string, bind: Uint8Array | null = null) => remap.before({ ...script(sql, bind), seq })
    }
    test('has a key that nobody has: who drew its number meanwhile is somebody else', () => {
      const asked = notes(2, { 1: [] })
      expect(asked('SELECT * FROM notes WHERE id = 5').sql).toBe("SELECT * FROM notes WHERE id = '-5'")
      expect(asked("SELECT * FROM notes WHERE id = '5'").sql).toBe("SELECT * FROM notes WHERE id = '-5'")
      const bind = buildBindRest([Buffer.from([0, 0, 0, 5])], [BINARY])
      const { values } = bindParameters(asked('SELECT * FROM notes WHERE id = $1', bind).bind!)!
      expect(Buffer.from(values[0]!).readInt32BE(0)).toBe(-5)
    })
    test('until it is made after all', () => {
      expect(notes(3, { 1: [], 2: [{ id: '5' }] })('SELECT * FROM notes WHERE id = 5').sql).toContain('id = 5')
      expect(notes(3, { 1: [], 2: [{ id: '6' }] })('SELECT * FROM notes WHERE id = 5').sql).toContain('id = 6')
    })
  })

  test('a foreign key never: it may point at the wrong row', () => {
    const key = { name: 'k', columns: [2], referencedOid: 3, referencedColumns: [1] }
    const actions = { onUpdate: 'no action', onDelete: 'no action' } as const
    const relations = CATALOG.relations.map((one) =>
      one.name === 'notes' ? { ...one, foreignKeys: [{ ...key, ...actions }] } : one,
    )
    const sql = "INSERT INTO notes (account_id, text) VALUES (5, 'a') RETURNING account_id"
    expect(askedFor(sql, [{ account_id: '5' }], [{ account_id: '6' }], { relations })).toBe('5')
  })

  test('but for one that is written beside the row it points at', () => {
    const actions = { onUpdate: 'no action', onDelete: 'no action' } as const
    const key = { name: 'k', columns: [2], referencedOid: 2, referencedColumns: [1], ...actions }
    const relations = CATALOG.relations.map((one) => (one.name === 'notes' ? { ...one, foreignKeys: [key] } : one))
    const asked = (sql: string, was: readonly string[], is: readonly string[]) => {
      const recorded = answer(
        sql,
        was.map((account_id) => ({ account_id })),
      )
      const pairs = new Pairs(createPairLog())
      const remap = createGenerated({ catalog: { ...CATALOG, relations }, pairs, recorded: () => recorded })!
      remap.after(
        script(sql),
        answer(
          sql,
          is.map((account_id) => ({ account_id })),
        ),
      )
      return remap.before(script('SELECT * FROM jobs WHERE id = 5')).sql.slice(-1)
    }
    const both = `WITH made AS (INSERT INTO jobs (state) VALUES ('x') RETURNING id)
      INSERT INTO notes (account_id) SELECT id FROM made RETURNING account_id`
    expect(asked(both, ['5'], ['6'])).toBe('6')
    expect(asked(both, ['5', '5'], ['6', '6'])).toBe('6')
    expect(asked(both, ['5', '4'], ['6', '7'])).toBe('5')
    expect(asked(both.replace('INSERT INTO jobs (state) VALUES', 'SELECT id FROM jobs --'), ['5'], ['6'])).toBe('5')
  })

  describe('of random keys, which may be shown nowhere else', () => {
    const relations = CATALOG.relations.map((one) =>
      one.name === 'notes'
        ? {
            ...one,
            columns: one.columns.map((c) =>
              c.name === 'id' ? { ...c, sequenceOid: 0, default: 'gen_random_uuid()' } : c,
            ),
          }
        : one,
    )
    test.each([
      { name: 'a row that is the same besides', is: { id: '6', text: 'a' }, asked: '6' },
      { name: 'not one that is not', is: { id: '6', text: 'b' }, asked: '5' },
    ])('$name', ({ is, asked }) =>
      expect(askedFor('SELECT id, text FROM notes', [{ id: '5', text: 'a' }], [is], { relations })).toBe(asked),
    )
    test('never against what is known of either key', () => {
      const answers = new Map([
        [1, answer(INSERT, [{ id: '4' }])],
        [2, answer('SELECT', [{ id: '5' }])],
        [3, answer('SELECT', [{ id: '4' }])],
      ])
      const pairs = new Pairs(createPairLog())
      const catalog = { ...CATALOG, relations }
      const remap = createGenerated({ catalog, pairs, recorded: (seq) => answers.get(seq) })!
      const shown = (seq: number, id: string) =>
        remap.after({ ...script(seq === 1 ? INSERT : 'SELECT id FROM notes'), seq }, answer('', [{ id }]))
      shown(1, '6')
      shown(2, '6') // It is 4's, so 5 is another row.
      shown(3, '7')
      expect(remap.before(script('SELECT * FROM notes WHERE id IN (4, 5)')).sql).toContain('IN (6, 5)')
    })
  })
})

test('tables of one name in two schemas have keys of their own', () => {
  const other = CATALOG.relations.map((one) =>
    one.name === 'notes' ? { ...one, oid: 30, schema: 'archive', columns: one.columns } : one,
  )
  const catalog = { ...CATALOG, relations: [...CATALOG.relations, ...other.filter(({ oid }) => oid === 30)] }
  const recorded = { ...drawnOutcome('5'), columns: [{ ...column('id', 1), tableOid: 30 }] } as unknown as Outcome
  const remap = createGenerated({ catalog, pairs: new Pairs(createPairLog()), recorded: () => recorded })!
  const sql = "INSERT INTO archive.notes (text) VALUES ('x') RETURNING id"
  remap.after(script(sql), { ...recorded, rows: [['6']] })
  const asked = (table: string) => remap.before(script(`SELECT * FROM ${table} WHERE id = 5`)).sql
  expect([asked('archive.notes'), asked('notes')]).toEqual([
    'SELECT * FROM archive.notes WHERE id = 6',
    'SELECT * FROM notes WHERE id = 5',
  ])
})

test('all workers see a pair once it is published, however many there are', () => {
  const log = createPairLog()
  const [one, other] = [new Pairs(log), new Pairs(log)]
  for (let n = 0; n < 10_000; n += 1) one.publish({ domain: 0, recorded: `a${n}`, actual: `b${n}` })
  expect([other.get(0, 'a0'), other.get(0, 'a9999'), other.get(1, 'a0')]).toEqual(['b0', 'b9999', undefined])
  expect([...other.all()]).toHaveLength(10_000)
})

function drawn(actual = '6') {
  const recorded = drawnOutcome('5')
  const remap = createGenerated({ catalog: CATALOG, pairs: new Pairs(createPairLog()), recorded: () => recorded })!
  expect(remap.wantsRows(INSERT)).toBe(true)
  remap.after(script(INSERT), drawnOutcome(actual))
  return remap
}

function drawnOutcome(id: string): Outcome {
  return {
    error: null,
    tag: 'INSERT 0 1',
    rowCount: 1,
    columns: [column('id', 1)],
    rows: [[id]],
  } as unknown as Outcome
}

function column(name: string, attnum: number) {
  return { name, typeOid: 23, typmod: -1, tableOid: 3, attnum }
}

function script(sql: string, bind: Uint8Array | null = null): Script {
  return { seq: 1, sql: sql as SafeSql, bind, frames: [], copy: null } as unknown as Script
}
