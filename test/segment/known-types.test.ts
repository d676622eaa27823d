/**
 * Every type that a real database has, its users' own among them: a value that one driver asks for as text and another in binary is one value,
 * with one digest, whatever oids the database gave its types.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ResultDigest } from '../../segment/digest.js'
import { type KnownTypes, knownTypes } from '../../segment/known-types.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

const USER_TYPES = `
  CREATE EXTENSION citext; CREATE EXTENSION hstore;
  CREATE TYPE mood AS ENUM ('sad', 'so happy');
  CREATE DOMAIN price AS numeric(12, 2) CHECK (VALUE >= 0);
  CREATE DOMAIN prices AS price[];
  CREATE TYPE spot AS (at point, since timestamptz, mood mood, note text);
  CREATE TYPE bill AS (sum price, sums price[], paid money, spot spot, spots spot[], facts jsonb, dropped int, moods mood[]);
  ALTER TYPE bill DROP ATTRIBUTE dropped;
  CREATE DOMAIN checked_bill AS bill;
  CREATE TYPE spans AS RANGE (subtype = numeric, multirange_type_name = many_spans);
  CREATE TABLE shelf (id int, bills bill[], nick citext);`

/** Values of each type that is neither an array nor made from the types below; as SQL literals of that type. */
const LITERALS: Readonly<Record<string, readonly string[]>> = {
  bool: ['t', 'f'],
  bytea: ['\\x00ff5c27', ''],
  char: ['a', ''],
  name: ['a name', 'x'],
  int8: ['-9223372036854775808', '7'],
  int2: ['-1', '32767'],
  int4: ['0', '-2147483648'],
  text: ['', 'tea ', 'NULL', 'a,"b"{}\\('],
  oid: ['4294967295', '0'],
  tid: ['(4294967295,65535)', '(0,1)'],
  xid: ['4294967295', '3'],
  cid: ['1', '0'],
  oidvector: ['1 4294967295', ''],
  int2vector: ['1 -2 3', ''],
  json: ['{"b": [1.0 , 2],"a":"x"}', 'null'],
  jsonb: ['{"b": [1.50, 2], "a": "é"}', '[]'],
  jsonpath: ['$."a"[*]?(@ > 1.5)', 'strict $'],
  xml: ['<a>b</a>', '<c/>'],
  point: ['(1,2.50)', '(1e300,-0)'],
  lseg: ['[(1,2),(3,4.25)]', '[(0,0),(0,0)]'],
  path: ['((1,2),(3,4))', '[(1,2),(3,4.5)]'],
  box: ['(3,4),(1,2)', '(0.5,0.5),(0,0)'],
  polygon: ['((1,2),(3,4),(5,6.5))', '((0,0))'],
  line: ['{1,2,3.5}', '{0,-1,0}'],
  circle: ['<(1,2),3.50>', '<(0,0),0>'],
  float4: ['1.5', 'NaN', '-Infinity', '1e-40', '-0'],
  float8: ['1e300', '0.1', 'Infinity', '5e-324', '-0'],
  money: ['1234567.89', '-0.05', '0'],
  macaddr: ['08:00:2b:01:02:03', '00:00:00:00:00:00'],
  macaddr8: ['08:00:2b:01:02:03:04:05', 'ff:ff:ff:ff:ff:ff:ff:ff'],
  inet: ['10.0.0.1', '2001:db8::1/64'],
  cidr: ['10.0.0.0/8', '::/0'],
  bpchar: ['tea   ', ''],
  varchar: ['tea ', 'ü'],
  date: ['2026-01-31', '0044-03-15 BC', 'infinity'],
  time: ['24:00:00', '04:05:06.789'],
  timetz: ['04:05:06.789+05:30', '00:00:00-12'],
  timestamp: ['2026-01-31 12:00:00.5', '-infinity'],
  timestamptz: ['2026-01-31 12:00:00.000001+05:30', '1850-01-01 00:00:00+00', 'infinity'],
  interval: ['1 year -2 days 03:04:05.06', '0', '-1 mon 1 day -1 s'],
  bit: ['1', '0'],
  varbit: ['101010101', ''],
  numeric: ['1.50', '-0.0010', '1e40', 'NaN', 'Infinity'],
  cstring: ['a "c" string', ''],
  refcursor: ['a cursor', ''],
  uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000'],
  pg_lsn: ['16/B374D848', '0/0'],
  xid8: ['18446744073709551615', '0'],
  txid_snapshot: ['10:20:10,14,15', '1:1:'],
  pg_snapshot: ['10:20:10,14,15', '1:1:'],
  tsvector: ["'a':1A,2 'b c':3 'it''s'", ''],
  tsquery: ["'a' & !( 'b':*A | 'c' ) <-> ( 'd' <2> 'e' )", '( !a & b ) | c', 'a <-> ( b <-> c )', '!( a & b )', ''],
  int4range: ['[1,5)', 'empty', '(,)'],
  int8range: ['[1,5)', '[7,)'],
  numrange: ['[1.50,2.0]', '(,0.0)'],
  tsrange: ['["2026-01-01 00:00:00","2026-01-02 00:00:00")', 'empty'],
  tstzrange: ['["2026-01-01 00:00:00+02",)', 'empty'],
  daterange: ['[2026-01-01,2026-02-01)', '(,)'],
  int4multirange: ['{[1,3),[5,9)}', '{}'],
  int8multirange: ['{[1,3)}', '{}'],
  nummultirange: ['{[1.50,2.0),[3,)}', '{}'],
  tsmultirange: ['{["2026-01-01 00:00:00",)}', '{}'],
  tstzmultirange: ['{["2026-01-01 00:00:00+02","2026-01-02 00:00:00+02")}', '{}'],
  datemultirange: ['{[2026-01-01,2026-02-01)}', '{}'],
  citext: ['Tea', 'NULL'],
  hstore: ['"a"=>"1", "b c"=>NULL', ''],
  mood: ['sad', 'so happy'],
  price: ['1.50', '100'],
  prices: ['{1.50,NULL,2.00}', '{}'],
  spot: ['("(1,2.5)","2026-01-31 12:00:00+05:30","so happy","a ""b"", c")', '(,,,)', '("(0,0)",infinity,sad,"")'],
  bill: [
    '(1.50,"{2.00,NULL}",$1.00,"(""(1,2)"",,sad,)","{""(,,,x)"",NULL}","{""b"": 1.0}","{sad,""so happy""}")',
    '(,,,,,,)',
  ],
  checked_bill: ['(1.50,{},-$0.05,,,"[1.0]",{})'],
  spans: ['[1.50,2.00)', 'empty', '(,)'],
  many_spans: ['{[1.50,2.00),[3,)}', '{}'],
  shelf: ['(1,"{""(1.50,,,,,,)""}",Tea)', '(,,)'],
}

/** Their bytes do not hold what their text says: an oid stands for a name that only the server's catalog knows. */
const NAMED_BY_THE_SERVER = /^reg[a-z]+$/
/** Bodies that no application is sent: the server's own statistics and expressions, which it does not take in either. */
const TAKEN_FROM_NOBODY = new Set([
  'pg_node_tree',
  'pg_ndistinct',
  'pg_dependencies',
  'pg_mcv_list',
  'pg_brin_bloom_summary',
  'pg_brin_minmax_multi_summary',
])
/** Elements that the server does not send in binary, and rows of unknown shape. */
const NO_BINARY_FORM = new Set(['aclitem', 'gtsvector', 'ghstore', 'record'])

type Type = {
  readonly oid: number
  readonly name: string
  readonly sql: string
  /** Of an array, the name of its element; otherwise empty. */
  readonly element: string
}

let database: TestDatabase
let client: pg.Client
let types: readonly Type[]
let known: KnownTypes

beforeAll(async () => {
  database = await createDatabase(USER_TYPES)
  client = new pg.Client(database.url)
  await client.connect()
  // Rows of the server's own tables, and what the standard's views are made of, are no types to keep values in.
  const { rows } = await client.query<Type>(`
    SELECT t.oid::int, t.typname AS name, format_type(t.oid, NULL) AS sql,
           coalesce((SELECT e.typname FROM pg_type e WHERE e.typarray = t.oid), '') AS element
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typisdefined AND t.typtype <> 'p' AND t.typsend <> 0 AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid IN (t.oid, t.typelem) AND e.typtype = 'c' AND e.oid < 16384)
     ORDER BY t.oid`)
  types = rows.filter(
    ({ name, element }) =>
      !NAMED_BY_THE_SERVER.test(element || name) && !TAKEN_FROM_NOBODY.has(name) && !NO_BINARY_FORM.has(element),
  )
  known = knownTypes((await readCatalog(client)).types)
})
afterAll(async () => {
  await client?.end()
  await database?.drop()
})

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

function literalsOf({ name, element, sql }: Type): readonly string[] {
  const single = (LITERALS[element || name] ?? []).map((text) => {
    // A type modifier is meant where none is named: bit(1), "char".
    const type = element === '' ? sql : sql.replace(/\[\]$/, '')
    return `${quoted(text)}::${type === 'character' ? 'bpchar' : type}`
  })
  if (element === '') return single
  return [
    `ARRAY[${single.join(', ')}, NULL]::${sql}`,
    `ARRAY[ARRAY[${single[0]}], ARRAY[${single.at(-1)}]]::${sql}`,
    `'{}'::${sql}`,
  ]
}

/** Everything arrives as the server writes it. */
const AS_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig

type Sent = { readonly text: string; readonly bytes: Buffer }

async function sent(type: Type): Promise<Sent[]> {
  const values = literalsOf(type)
  if (values.length === 0) throw new Error(`no values of type ${type.name} are given`)
  const found: Sent[] = []
  for (const value of values) {
    const { rows } = await client.query<[string, string]>({
      text: `SELECT v, encode(record_send(ROW(v)), 'hex') FROM (SELECT ${value} AS v) AS one`,
      rowMode: 'array',
      types: AS_TEXT,
    })
    const [text, hex] = rows[0]!
    // Behind the number of fields, the type and the length.
    found.push({ text, bytes: Buffer.from(hex, 'hex').subarray(12) })
  }
  return found
}

function digest(typeOid: number, format: 0 | 1, cell: Buffer, by: KnownTypes = known): string {
  const made = new ResultDigest([{ typeOid }], [format], by)
  const head = Buffer.alloc(6)
  head.writeInt16BE(1, 0)
  head.writeInt32BE(cell.byteLength, 2)
  made.row(Buffer.concat([head, cell]), 0, 6 + cell.byteLength)
  return Buffer.from(made.finish()).toString('hex')
}

describe('text and binary of one value have one digest', () => {
  test('for every type of a fresh database, and for what users make of them', async () => {
    const wrong: string[] = []
    let values = 0
    for (const type of types) {
      for (const { text, bytes } of await sent(type)) {
        values += 1
        const [asText, asBinary] = [digest(type.oid, 0, Buffer.from(text)), digest(type.oid, 1, bytes)]
        if (asText !== asBinary) wrong.push(`${type.name}: ${text} is read as ${known.textOf(type.oid, bytes)}`)
      }
    }
    expect(wrong).toEqual([])
    // As many as there are to look at: a fresh PostgreSQL has more than a hundred, with arrays.
    expect(types.length).toBeGreaterThan(140)
    expect(values).toBeGreaterThan(380)
  })

  test('and two values have two', async () => {
    for (const type of types.filter(({ element }) => element === '')) {
      const values = await sent(type)
      const distinct = new Set(values.map(({ text }) => text)).size
      expect([type.name, new Set(values.map(({ bytes }) => digest(type.oid, 1, bytes))).size]).toEqual([
        type.name,
        distinct,
      ])
    }
  })
})

describe('what users make of types', () => {
  const CELLS = `(ROW(1.50, ARRAY[2.00, NULL]::price[], NULL, ROW('(1,2.0)', '2026-01-31 12:00+02', 'sad', '')::spot,
      NULL, '{"b": 1.0, "a": 2}', '{sad}')::bill)`
  const sentBy = async (by: TestDatabase, type: string, value = CELLS) => {
    const { rows } = await by.query(
      `SELECT '${type}'::regtype::oid::int AS oid, v::text AS text, encode(record_send(ROW(v)), 'hex') AS hex FROM (SELECT ${value} AS v) AS one`,
    )
    const [one] = rows as { oid: number; text: string; hex: string }[]
    return { oid: one!.oid, text: one!.text, bytes: Buffer.from(one!.hex, 'hex').subarray(12) }
  }
  const typesOf = async (url: string) => {
    const other = new pg.Client(url)
    await other.connect()
    try {
      return knownTypes((await readCatalog(other)).types)
    } finally {
      await other.end()
    }
  }

  test('is the same where every type has another oid, and its bytes hold other oids', async () => {
    const other = await createDatabase(
      "CREATE TYPE first_of_all AS ENUM ('x'); CREATE TABLE and_then (x first_of_all);",
      USER_TYPES,
    )
    try {
      const [here, there] = [await sentBy(database, 'bill'), await sentBy(other, 'bill')]
      expect(here.bytes.equals(there.bytes)).toBe(false)
      expect(digest(there.oid, 1, there.bytes, await typesOf(other.url))).toBe(digest(here.oid, 1, here.bytes))
    } finally {
      await other.drop()
    }
  })

  test('is the same where a type within it became a wider one', async () => {
    const wider = await createDatabase(
      USER_TYPES.replace('AS numeric(12, 2)', 'AS numeric').replace('facts jsonb', 'facts json'),
    )
    try {
      const value = CELLS.replace('1.50', '1.5').replace('2.00', '2')
      const [narrow, wide] = [await sentBy(database, 'bill'), await sentBy(wider, 'bill', value)]
      expect(wide.text).not.toBe(narrow.text)
      const types = await typesOf(wider.url)
      for (const format of [0, 1] as const) {
        const cell = (one: typeof wide) => (format === 1 ? one.bytes : Buffer.from(one.text))
        expect(digest(wide.oid, format, cell(wide), types)).toBe(digest(narrow.oid, format, cell(narrow)))
      }
    } finally {
      await wider.drop()
    }
  })

  test('stays another one where a field of a field differs', async () => {
    const [was, is] = [
      await sentBy(database, 'bill'),
      await sentBy(database, 'bill', CELLS.replace("'sad', ''", "'sad', NULL")),
    ]
    for (const format of [0, 1] as const) {
      const cell = (one: typeof was) => (format === 1 ? one.bytes : Buffer.from(one.text))
      expect(digest(is.oid, format, cell(is))).not.toBe(digest(was.oid, format, cell(was)))
    }
  })

  test('without its catalog is compared by its bytes', async () => {
    const { oid, bytes } = await sentBy(database, 'bill')
    const strangers = knownTypes([])
    expect(strangers.textOf(oid, bytes)).toBeUndefined()
    expect(digest(oid, 1, bytes, strangers)).toBe(digest(oid, 0, Buffer.from(`\\x${bytes.toString('hex')}`), strangers))
  })
})
