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

test('a result whose columns stand in another order teaches nothing', () => {
  const columns = { id: column('id', 1), account: column('account_id', 2) }
  const answer = (names: readonly ('id' | 'account')[], row: string[]) =>
    ({
      error: null,
      tag: 'SELECT 1',
      rowCount: 1,
      columns: names.map((name) => columns[name]),
      rows: [row],
    }) as unknown as Outcome
  const recorded = answer(['id', 'account'], ['5', '7'])
  const remap = createGenerated({ catalog: CATALOG, pairs: new Pairs(createPairLog()), recorded: () => recorded })!
  const statement = script('SELECT * FROM notes WHERE id = 5')
  remap.after(script('SELECT id, account_id FROM notes'), answer(['account', 'id'], ['7', '5']))
  expect(remap.before(statement)).toBe(statement)
  remap.after(script('SELECT id, account_id FROM notes'), answer(['id', 'account'], ['6', '7']))
  expect(remap.before(statement).sql).toBe('SELECT * FROM notes WHERE id = 6')
})

test('all workers see a pair once it is published, however many there are', () => {
  const log = createPairLog()
  const [one, other] = [new Pairs(log), new Pairs(log)]
  for (let n = 0; n < 10_000; n += 1) one.publish({ domain: 0, recorded: `a${n}`, actual: `b${n}` })
  expect([other.get(0, 'a0'), other.get(0, 'a9999'), other.get(1, 'a0')]).toEqual(['b0', 'b9999', undefined])
  expect([...other.all()]).toHaveLength(10_000)
})

function drawn(actual = '6') {
  const outcome = (id: string) =>
    ({
      error: null,
      tag: 'INSERT 0 1',
      rowCount: 1,
      columns: [column('id', 1)],
      rows: [[id]],
    }) as unknown as Outcome
  const remap = createGenerated({ catalog: CATALOG, pairs: new Pairs(createPairLog()), recorded: () => outcome('5') })!
  expect(remap.wantsRows(INSERT)).toBe(true)
  remap.after(script(INSERT), outcome(actual))
  return remap
}

function column(name: string, attnum: number) {
  return { name, typeOid: 23, typmod: -1, tableOid: 3, attnum }
}

function script(sql: string, bind: Uint8Array | null = null): Script {
  return { seq: 1, sql: sql as SafeSql, bind, frames: [], copy: null } as unknown as Script
}
