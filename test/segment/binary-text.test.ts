import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { binaryToText } from '../../segment/binary-text.js'
import { ELEMENT_OF, OID } from '../../segment/values/oids.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

let database: TestDatabase
let client: pg.Client
beforeAll(async () => {
  database = await createDatabase()
  client = new pg.Client(database.url)
  await client.connect()
  await client.query(`SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'`)
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

/** The same value as the server sends it in text and in binary. */
type Sent = { readonly typeOid: number; readonly text: string; readonly binary: Buffer }

async function send(type: string, sendFunction: string, literals: readonly (string | null)[]): Promise<Sent[]> {
  const result = await client.query({
    text: `SELECT v, encode(${sendFunction}(v), 'hex') FROM (SELECT x::${type} AS v FROM unnest($1::text[]) AS x) AS s`,
    values: [literals],
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value } as never,
  })
  const typeOid = result.fields[0]!.dataTypeID
  return (result.rows as [string, string][]).map(([text, hex]) => ({ typeOid, text, binary: Buffer.from(hex, 'hex') }))
}

const TIMES = ['00:00:00', '24:00:00', '04:05:06.789', '23:59:59.999999', '12:00:00.000001', '12:00:00.1']
const DATES = [
  '2026-01-31',
  '1999-12-31',
  '0001-01-01',
  '0001-12-31 BC',
  '4713-01-01 BC',
  '0044-03-15 BC',
  '1582-10-15',
]
const MORE_DATES = [
  '2000-02-29',
  '1900-03-01',
  '9999-12-31',
  '10000-01-01',
  '294276-12-31',
  'infinity',
  '-infinity',
  'epoch',
]
const STAMPS = [...DATES, '1969-12-31', '10000-01-01', '294276-12-31'].flatMap((date) =>
  ['00:00:00', '04:05:06.789', '23:59:59.999999', '12:00:00.000001'].map((time) =>
    date.endsWith(' BC') ? `${date.slice(0, -3)} ${time} BC` : `${date} ${time}`,
  ),
)
const INTERVALS = [
  ...[
    '0',
    '1 day',
    '-1 day',
    '2 days',
    '1 mon',
    '-1 mon',
    '1 year 2 mons',
    '-14 mons',
    '1 year -1 day',
    '-1 year 3 days',
  ],
  ...[
    '04:05:06.789',
    '-04:05:06.5',
    '-0.000001 s',
    '100:00:00',
    '1 day -00:00:01',
    '-1 day +00:00:01',
    '1 mon -1 day 1 s',
  ],
  ...['178956970 years 7 mons', '2147483647 days', '-178956970 years', '2562047788:00:54.775807', '-1 mon 1 day -1 s'],
  ...['infinity', '-infinity'],
]
const ADDRESSES = [
  ...['192.168.0.1', '192.168.0.1/24', '10.0.0.0/8', '0.0.0.0/0', '255.255.255.255', '::1', '::', '::/0', 'fe80::1/64'],
  ...[
    '2001:db8::8:800:200c:417a',
    '::ffff:1.2.3.4',
    '::1.2.3.4',
    '::ffff:0:0',
    '1:0:0:2:0:0:0:3',
    '0:0:1::',
    '1::',
    '::2',
  ],
  ...[
    '2001:0:0:1:0:0:1:1',
    'a:b:c:d:e:f:1:2',
    '::1:0:0:1',
    '1:2:3:4:5:6:7:0',
    '0:1:2:3:4:5:6:7',
    '::5:6:7:8',
    '::f:0:0',
  ],
]
const NUMERICS = [
  ...[
    '0',
    '0.00',
    '1.50',
    '-1.5',
    '100',
    '10000',
    '100000000',
    '0.0001',
    '0.00001',
    '-0.000000001',
    '12345.67890',
    'NaN',
  ],
  ...[
    'Infinity',
    '-Infinity',
    '1e40',
    '-123456789012345678901234567890.123456789',
    '99999999.9999',
    '1e-30',
    '10000.0001',
  ],
]
const TEXTS = [
  '',
  ' ',
  'NULL',
  'null',
  'plain',
  'two words',
  'quote"d',
  'back\\slash',
  '{braces}',
  'comma,',
  'naïve €',
  '\t',
]

const CASES: readonly (readonly [type: string, sendFunction: string, literals: readonly (string | null)[]])[] = [
  ['bool', 'boolsend', ['t', 'f']],
  ['"char"', 'charsend', ['', 'a', '\\200', '~']],
  ['int2', 'int2send', ['0', '-32768', '32767']],
  ['int4', 'int4send', ['0', '-2147483648', '2147483647', '42']],
  ['int8', 'int8send', ['0', '-9223372036854775808', '9223372036854775807', '9007199254740993']],
  ['oid', 'oidsend', ['0', '4294967295']],
  ['xid', 'xidsend', ['3', '4294967295']],
  ['numeric', 'numeric_send', NUMERICS],
  ['text', 'textsend', TEXTS],
  ['varchar(20)', 'varcharsend', TEXTS],
  ['char(12)', 'bpcharsend', TEXTS],
  ['name', 'namesend', TEXTS],
  ['json', 'json_send', ['{"b": 1, "a":[1 , 2]}', 'null', '"x"']],
  ['jsonb', 'jsonb_send', ['{"b": 1.50, "a":[1 , 2]}', 'null', '"€"']],
  ['bytea', 'byteasend', ['', '\\x00ff', 'abc']],
  ['uuid', 'uuid_send', ['c0ffee00-0000-4000-8000-00000000000A']],
  ['date', 'date_send', [...DATES, ...MORE_DATES]],
  ['time', 'time_send', TIMES],
  ['timetz', 'timetz_send', TIMES.flatMap((time) => ['+00', '+02', '-05:30', '+05:45:12', '-11'].map((z) => time + z))],
  ['timestamp', 'timestamp_send', [...STAMPS, 'infinity', '-infinity']],
  ['timestamptz', 'timestamptz_send', [...STAMPS, 'infinity', '-infinity']],
  ['interval', 'interval_send', INTERVALS],
  ['inet', 'inet_send', ADDRESSES],
  ['cidr', 'cidr_send', ['10.0.0.0/8', '192.168.1.0', '2001:db8::/32', '::ffff:0:0/96', '::/0']],
  ['macaddr', 'macaddr_send', ['08:00:2b:01:02:03']],
  ['bit(10)', 'bit_send', ['1010101010', '0000000001']],
  ['varbit', 'varbit_send', ['', '1', '101010101']],
  ['int4[]', 'array_send', ['{}', '{1,2,NULL}', '{{1,2},{3,4}}', '[0:1]={1,2}', '[-1:0][2:3]={{1,2},{3,4}}']],
  ['text[]', 'array_send', ['{}', '{"",NULL,"NULL","a b","q\\"","\\\\","{x}","a,b",plain,"\t"}']],
  ['numeric[]', 'array_send', ['{1.50,NaN,-0.001}']],
  ['timestamptz[]', 'array_send', ['{2026-01-01 00:00:00+02,infinity}']],
  ['jsonb[]', 'array_send', ['{"{\\"a\\": 1}",null}']],
  ['bytea[]', 'array_send', ['{"\\\\x00ff"}']],
  ['macaddr8', 'macaddr8_send', ['08:00:2b:01:02:03:04:05']],
  ['pg_lsn', 'pg_lsn_send', ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF']],
  ['point', 'point_send', ['(1,2)', '(-0.1,1e300)', '(Infinity,NaN)']],
  ['lseg', 'lseg_send', ['[(1,2),(3.5,4)]']],
  ['path', 'path_send', ['[(0,0),(1,1),(2,0)]', '((0,0),(1,1))']],
  ['box', 'box_send', ['(3,4),(1,2)']],
  ['polygon', 'poly_send', ['((0,0),(1,1),(1,0))']],
  ['line', 'line_send', ['{1,-1,0.5}']],
  ['circle', 'circle_send', ['<(1,2),3.25>']],
  ['int4range', 'range_send', ['empty', '[1,5)', '(,5)', '[3,)', '(,)']],
  ['int8range', 'range_send', ['[1,9007199254740993)']],
  ['numrange', 'range_send', ['[1.50,2.0]', '(,-0.10)', 'empty']],
  ['daterange', 'range_send', ['[2026-01-01,2026-02-01)', '[2026-01-01,infinity]', '[0044-03-15 BC,)']],
  ['tsrange', 'range_send', ['[2026-01-01 10:00:00,2026-01-01 11:00:00.5]']],
  ['tstzrange', 'range_send', ['(2026-01-01 10:00:00+02,)']],
  ['int4multirange', 'multirange_send', ['{}', '{[1,3),[5,9)}', '{(,3),[5,)}']],
  ['tstzmultirange', 'multirange_send', ['{[2026-01-01 10:00:00+00,2026-01-02 10:00:00+00)}']],
  ['numrange[]', 'array_send', ['{"[1.5,2.0)",empty,NULL,"(,)"}']],
  ['point[]', 'array_send', ['{"(1,2)","(3,4)"}']],
  ['datemultirange[]', 'array_send', ['{"{[2026-01-01,2026-01-05)}"}']],
  ['float8[]', 'array_send', ['{1e23,-0,0.1}']],
]

describe('binary reads as the text the server prints', () => {
  test.each(CASES)('%s', async (type, sendFunction, literals) => {
    const sent = await send(type, sendFunction, literals)
    expect(sent.length).toBe(literals.length)
    for (const { typeOid, text, binary } of sent) expect(binaryToText(typeOid, binary)).toBe(text)
  })

  const powers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => 2 ** (from + i))
  const specials = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]

  test('float8, from the smallest to the largest', async () => {
    const tens = Array.from({ length: 617 }, (_, i) => Number(`1e${i - 308}`))
    const halfway = Array.from({ length: 200 }, (_, i) => (i + 1) * 1e22)
    const random = fc.sample(fc.double(), 3000)
    const numbers = [...specials, ...powers(-1074, 1024), ...tens, ...halfway, ...random, 123456789012345.6, 5e-324]
    await expectFloats('float8', 'float8send', numbers)
  })

  test('float4, from the smallest to the largest', async () => {
    const random = fc.sample(fc.float(), 3000)
    await expectFloats('float4', 'float4send', [...specials, ...powers(-149, 128), ...random, 123456.7, 1e6, 0.1])
  })

  async function expectFloats(type: string, sendFunction: string, numbers: readonly number[]): Promise<void> {
    const literals = numbers.map((number) =>
      Object.is(number, -0) ? '-0' : String(type === 'float4' ? Math.fround(number) : number),
    )
    const sent = await send(type, sendFunction, literals)
    const wrong = sent.filter(({ typeOid, text, binary }) => binaryToText(typeOid, binary) !== text)
    expect(wrong.map(({ text, typeOid, binary }) => [text, binaryToText(typeOid, binary)])).toEqual([])
  }
})

describe('what it cannot read is undefined', () => {
  test('a type it does not know', () => {
    expect(binaryToText(OID.money, Buffer.alloc(8))).toBeUndefined()
  })

  test('bytes that are no value never throw', () => {
    const types = [...Object.values(OID), ...ELEMENT_OF.keys()]
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 40 }), (typeOid, bytes) => {
        expect(['string', 'undefined']).toContain(typeof binaryToText(typeOid, bytes))
      }),
      { numRuns: 3000 },
    )
  })

  test('an array that claims more elements than it has', () => {
    const bytes = Buffer.alloc(20)
    bytes.writeInt32BE(1, 0)
    bytes.writeInt32BE(OID.int4, 8)
    bytes.writeInt32BE(0x7fffffff, 12)
    expect(binaryToText(1007, bytes)).toBeUndefined()
  })
})

test('the oids are those of pg_type', async () => {
  const { rows } = await client.query<{ oid: number; typname: string; element: number }>(
    `SELECT oid::int, typname, CASE WHEN typcategory = 'A' THEN typelem::int ELSE 0 END AS element
     FROM pg_type WHERE oid < 10000`,
  )
  const byName = new Map(rows.map((row) => [row.typname, row.oid]))
  const elementOf = new Map(rows.map((row) => [row.oid, row.element]))
  for (const [name, oid] of Object.entries(OID)) expect([name, byName.get(name)]).toEqual([name, oid])
  for (const [array, element] of ELEMENT_OF) expect([array, elementOf.get(array)]).toEqual([array, element])
})
