import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { RowInserter } from '../../segment/row-inserter.js'

function table() {
  const db = new Database(':memory:')
  db.exec('CREATE TABLE t (a INTEGER, b TEXT)')
  const rows = () => db.prepare<[], [number, string | null]>('SELECT a, b FROM t ORDER BY rowid').raw().all()
  return { inserter: new RowInserter(db, 't', ['a', 'b']), rows }
}

test.each([0, 1, 7, 8, 9, 16, 21])('%i rows are there behind flush, in order', (count) => {
  const { inserter, rows } = table()
  const given = Array.from({ length: count }, (_, i) => [i, i % 3 === 0 ? null : `row ${i}`])
  for (const row of given) inserter.add(row)
  inserter.flush()
  expect(rows()).toEqual(given)
  inserter.flush()
  expect(rows()).toHaveLength(count)
})

test('what was forgotten is not inserted later', () => {
  const { inserter, rows } = table()
  inserter.add([1, 'taken back'])
  inserter.forget()
  inserter.add([2, 'stays'])
  inserter.flush()
  expect(rows()).toEqual([[2, 'stays']])
})
