import { expect, test } from 'vitest'
import { Cursors } from '../../replayer/compare/cursors.js'
import type { SafeSql } from '../../segment/statement.js'

const told = (sql: string, session = 1) => ({ session, sql: sql as SafeSql })

test.each([
  { declare: 'DECLARE export CURSOR FOR SELECT 1', fetch: 'FETCH FORWARD 50 FROM export' },
  { declare: 'declare Export no scroll cursor for select 1', fetch: 'fetch all in EXPORT;' },
  { declare: 'DECLARE "my ""c" CURSOR FOR SELECT 1', fetch: 'FETCH NEXT FROM "my ""c"' },
  { declare: 'DECLARE c CURSOR FOR SELECT 1', fetch: 'FETCH c' },
])('$fetch reads what $declare says', ({ declare, fetch }) => {
  const cursors = new Cursors()
  cursors.declared(told(declare))
  expect(cursors.behind(told(fetch))?.sql).toBe(declare)
  expect(cursors.behind(told(fetch, 2))).toBeNull()
})

test('other statements read no cursor', () => {
  const cursors = new Cursors()
  cursors.declared(told('DECLARE c CURSOR FOR SELECT 1'))
  expect(cursors.behind(told('SELECT 1 FROM c'))).toBeNull()
})
