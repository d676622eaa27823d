/** A value that meets no column, with a cast to an array behind it: elements are masked, or kept, as such a value alone would be. */
import { beforeAll, expect, test } from 'vitest'
import { readKey } from '../../privacy/key.js'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { EMPTY_POLICY } from '../../privacy/policy/policy.js'

let masker: Masker
beforeAll(async () => {
  const catalog = { database: 'd', serverVersionNum: 180_000, searchPath: [], relations: [], types: [], functions: [] }
  masker = await createMasker({ key: readKey('0f'.repeat(32)), policy: EMPTY_POLICY, catalog })
})

const column = (typeOid: number) => ({ name: 'a', tableOid: 0, attnum: 0, typeOid, typmod: -1 })

test.each([
  { sql: 'SELECT $1::int4[] AS a', typeOid: 1007, value: '{1,NULL,3}', stays: true },
  { sql: 'SELECT $1::int8[] AS a', typeOid: 1016, value: '{{1,2},{NULL,4}}', stays: true },
  { sql: 'SELECT $1::date[] AS a', typeOid: 1182, value: '{2024-01-02,NULL}', stays: true },
  { sql: 'SELECT $1::text[] AS a', typeOid: 1009, value: '{Ann,NULL,"NULL"}', stays: false },
])('$sql: declared or not, sent and returned, the same', ({ sql, typeOid, value, stays }) => {
  const { facts } = masker.sql(sql)
  const sent = masker.parameters(facts, [value], [])
  expect(masker.parameters(facts, [value], [typeOid])).toEqual(sent)
  expect(masker.rowMasker([column(typeOid)], facts, 0)([value])).toEqual(sent)
  expect(sent[0] === value).toBe(stays)
  if (!stays) expect(sent[0]).toMatch(/^\{(?!Ann)\w+,NULL,"?\w+"?\}$/)
})
