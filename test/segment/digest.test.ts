import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalText } from '../../segment/canonical.js'
import {
  columnDigest,
  digestColumns,
  equalIgnoringOrder,
  equalOrdered,
  ResultDigest,
  rowDigest,
} from '../../segment/digest.js'
import { resultSha256 } from '../../segment/result-sha.js'
import { hashBytes, hashed } from '../../segment/values/cell-hash.js'
import { OID } from '../../segment/values/oids.js'
import { OK } from './examples.js'

type Cells = readonly (string | null)[]

const columnsOf = (...typeOids: number[]) => typeOids.map((typeOid) => ({ typeOid }))

function digestOf(typeOids: readonly number[], rows: readonly Cells[]): Uint8Array {
  const digest = new ResultDigest(columnsOf(...typeOids))
  for (const row of rows) digest.rowOfText(row)
  return digest.finish()
}

/** The body of a DataRow message. */
function dataRow(cells: readonly (Buffer | string | null)[]): Buffer {
  const parts = [Buffer.from([cells.length >> 8, cells.length & 255])]
  for (const cell of cells) {
    const bytes = cell === null ? null : Buffer.from(cell)
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes?.byteLength ?? -1)
    parts.push(length, bytes ?? Buffer.alloc(0))
  }
  return Buffer.concat(parts)
}

const TYPES = [OID.int4, OID.text]
const A: Cells = ['1', 'tea']
const B: Cells = ['2', 'milk']
const C: Cells = ['3', null]

describe('order', () => {
  const forth = digestOf(TYPES, [A, B, C])
  const back = digestOf(TYPES, [C, B, A])

  test('the same rows in the same order are equal in every way', () => {
    expect(digestOf(TYPES, [A, B, C])).toEqual(forth)
    expect(equalOrdered(forth, forth)).toBe(true)
  })

  test('in another order they are equal only to who ignores it', () => {
    expect(equalOrdered(forth, back)).toBe(false)
    expect(equalIgnoringOrder(forth, back)).toBe(true)
    expect(equalOrdered(forth, back, 0)).toBe(false)
    expect(equalIgnoringOrder(forth, back, 1)).toBe(true)
  })

  test('a difference names its column', () => {
    const other = digestOf(TYPES, [A, B, ['3', '']])
    expect(equalIgnoringOrder(forth, other)).toBe(false)
    expect([0, 1].map((column) => equalIgnoringOrder(forth, other, column))).toEqual([true, false])
    expect(columnDigest(forth, 0)).toEqual(columnDigest(other, 0))
    expect(rowDigest(forth)).not.toEqual(rowDigest(other))
  })

  test('values that changed places between rows: every column agrees, the rows do not', () => {
    const swapped = digestOf(TYPES, [['1', 'milk'], ['2', 'tea'], C])
    expect([0, 1].map((column) => equalIgnoringOrder(forth, swapped, column))).toEqual([true, true])
    expect(equalIgnoringOrder(forth, swapped)).toBe(false)
  })
})

describe('what is told apart', () => {
  test.each<{ name: string; a: Cells[]; b: Cells[] }>([
    { name: 'NULL and empty', a: [[null]], b: [['']] },
    { name: 'no row and a row of NULL', a: [], b: [[null]] },
    { name: 'one row and the same twice', a: [['x']], b: [['x'], ['x']] },
    { name: 'where one cell ends and the next begins', a: [['ab', 'c']], b: [['a', 'bc']] },
    { name: 'which column a value is in', a: [['a', 'b']], b: [['b', 'a']] },
  ])('$name', ({ a, b }) => {
    const types = Array.from({ length: Math.max(a[0]?.length ?? 0, b[0]?.length ?? 0) }, () => OID.text)
    expect(equalIgnoringOrder(digestOf(types, a), digestOf(types, b))).toBe(false)
  })

  test('a change of type alone is none', () => {
    const v1 = digestOf([OID.int4, OID.bpchar, OID.numeric, OID.json], [['7', 'nl  ', '1.50', '{"b":1,"a":2}']])
    const v2 = digestOf([OID.int8, OID.varchar, OID.numeric, OID.jsonb], [['7', 'nl', '1.5', '{"a": 2, "b": 1}']])
    expect(v1).toEqual(v2)
  })

  test('three million cells, no two alike', () => {
    const seen = new Set<bigint>()
    const words = new BigInt64Array(hashed.buffer)
    const bytes = Buffer.alloc(40)
    let count = 0
    for (const length of [4, 8, 37]) {
      for (let i = 0; i < 1_000_000; i++, count++) {
        bytes.fill(i & 255).writeUInt32LE(i)
        hashBytes(bytes, 0, length)
        seen.add(words[0]!)
      }
    }
    expect(seen.size).toBe(count)
  })
})

describe('from the wire', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.double().map(String),
    fc.constantFrom(
      '',
      '-0',
      '0.00',
      '1.50',
      '2026-01-01 00:00:00+00',
      '2026-01-01 02:00:00+02',
      '{1.50,NULL}',
      '{"b": 1.0}',
    ),
  )
  const types = [
    OID.int4,
    OID.text,
    OID.numeric,
    OID.float8,
    OID.timestamptz,
    OID.bpchar,
    OID.jsonb,
    OID.bytea,
    1231,
    4711,
  ]

  test('raw rows, decoded rows and canonical rows have one digest', () => {
    const like = fc.stringMatching(/^-?[0-9]{0,3}[.,]{0,2}0{0,2}[eE]?[+-]?[0-9]{0,2}[.]?$/)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...types), fc.option(fc.oneof(text, like))), { maxLength: 6 }),
        (cells) => {
          const typeOids = cells.map(([typeOid]) => typeOid)
          const row = cells.map(([, cell]) => cell)
          const raw = new ResultDigest(columnsOf(...typeOids))
          const body = Buffer.concat([Buffer.from('head'), dataRow(row), Buffer.from('tail')])
          raw.row(body, 4, body.byteLength - 4)
          const canonical = row.map((cell, i) => (cell === null ? null : canonicalText(typeOids[i]!, cell)))
          const plain = typeOids.map(() => OID.text)
          expect(raw.finish()).toEqual(digestOf(typeOids, [row]))
          expect(digestOf(typeOids, [row])).toEqual(digestOf(plain, [canonical]))
        },
      ),
      { numRuns: 2000 },
    )
  })

  test.each<{ name: string; type: number; binary: string; text: string }>([
    { name: 'int2', type: OID.int2, binary: 'ffff', text: '-1' },
    { name: 'int4', type: OID.int4, binary: '80000000', text: '-2147483648' },
    { name: 'int4 zero', type: OID.int4, binary: '00000000', text: '0' },
    { name: 'int8', type: OID.int8, binary: '7fffffffffffffff', text: '9223372036854775807' },
    { name: 'bool', type: OID.bool, binary: '01', text: 't' },
    { name: 'text', type: OID.text, binary: '746561', text: 'tea' },
    { name: 'char(n)', type: OID.bpchar, binary: '7465612020', text: 'tea ' },
    { name: 'timestamptz', type: OID.timestamptz, binary: '0000000000000000', text: '2000-01-01 02:00:00+02' },
    { name: 'jsonb', type: OID.jsonb, binary: '017b2261223a20317d', text: '{"a":1.0}' },
    { name: 'a type nobody can read', type: 4711, binary: '00ff', text: '\\x00ff' },
  ])('binary $name equals its text', ({ type, binary, text }) => {
    const digest = new ResultDigest(columnsOf(type), [1])
    const body = dataRow([Buffer.from(binary, 'hex')])
    digest.row(body, 0, body.byteLength)
    expect(digest.finish()).toEqual(digestOf([type], [[text]]))
  })

  test('a row cut short is read as far as it goes', () => {
    const digest = new ResultDigest(columnsOf(OID.text, OID.text))
    const body = dataRow(['tea', 'milk'])
    for (let end = 0; end <= body.byteLength; end++) digest.row(body, 0, end)
    expect(digestColumns(digest.finish())).toBe(2)
  })

  test('one instance digests result after result', () => {
    const digest = new ResultDigest(columnsOf(...TYPES))
    digest.rowOfText(A)
    digest.finish()
    digest.rowOfText(B)
    expect(digest.finish()).toEqual(digestOf(TYPES, [B]))
  })
})

describe('the hash for people', () => {
  test.each([
    { name: 'another digest', changes: { digest: Buffer.from('other') } },
    { name: 'another count', changes: { rowCount: 2 } },
    { name: 'another error', changes: { error: { sqlstate: '23505', message: 'duplicate key' } } },
    { name: 'another column', changes: { columns: OK.columns!.slice(1) } },
  ])('tells $name', ({ changes }) => {
    expect(resultSha256(OK)).toMatch(/^sha256_[0-9a-f]{64}$/)
    expect(resultSha256({ ...OK, ...changes })).not.toBe(resultSha256(OK))
  })

  test('does not tell another type of a column', () => {
    const columns = OK.columns!.map((column) => ({ ...column, typeOid: 20 }))
    expect(resultSha256({ ...OK, columns })).toBe(resultSha256(OK))
  })
})
