import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { binaryToText } from '../../segment/binary-text.js'
import { canonicalText } from '../../segment/canonical.js'
import { OID } from '../../segment/values/oids.js'
import { createDatabase, type TestDatabase } from '../support/database.js'

describe('one text for equal values', () => {
  test.each([
    { name: 'numeric without trailing zeros', type: OID.numeric, from: '1.50', to: '1.5' },
    { name: 'numeric that is whole', type: OID.numeric, from: '100.00', to: '100' },
    { name: 'zeros before the point stay', type: OID.numeric, from: '100', to: '100' },
    { name: 'nothing is nothing', type: OID.numeric, from: '0.00', to: '0' },
    { name: 'small numeric', type: OID.numeric, from: '-0.0010', to: '-0.001' },
    { name: 'numeric NaN', type: OID.numeric, from: 'NaN', to: 'NaN' },
    { name: 'float with an exponent', type: OID.float8, from: '1.5e+20', to: '150000000000000000000' },
    { name: 'small float', type: OID.float8, from: '1.25e-05', to: '0.0000125' },
    { name: 'negative zero', type: OID.float8, from: '-0', to: '0' },
    { name: 'infinite float', type: OID.float8, from: '-Infinity', to: '-Infinity' },
    { name: 'padding of char(n)', type: OID.bpchar, from: 'tea   ', to: 'tea' },
    { name: 'spaces of text are text', type: OID.text, from: 'tea   ', to: 'tea   ' },
    { name: 'json keys and blanks', type: OID.json, from: '{"b": [1 , 2],"a":{}}', to: '{"a":{},"b":[1,2]}' },
    { name: 'the last of equal json keys', type: OID.json, from: '{"a":1,"a":2}', to: '{"a":2}' },
    { name: 'json numbers', type: OID.jsonb, from: '[1.0, 1e2, 0.50]', to: '[1,100,0.5]' },
    { name: 'json escapes', type: OID.json, from: '"\\u00e9\\/"', to: '"é/"' },
    { name: 'what is not json', type: OID.json, from: '{"a":', to: '{"a":' },
    { name: 'bytea in escape format', type: OID.bytea, from: 'a\\\\b\\000', to: '\\x615c6200' },
    { name: 'array of numeric', type: 1231, from: '{1.50,NULL,2.00}', to: '{1.5,NULL,2}' },
    { name: 'nested array with bounds', type: 1231, from: '[0:0][1:2]={{1.0,2.5}}', to: '[0:0][1:2]={{1,2.5}}' },
    { name: 'array of char(n)', type: 1014, from: '{"a ","b c "}', to: '{a,"b c"}' },
    { name: 'array of json', type: 199, from: '{"{\\"b\\": 1, \\"a\\": 2}"}', to: '{"{\\"a\\":2,\\"b\\":1}"}' },
    { name: 'array of text', type: 1009, from: '{"a ","NULL"}', to: '{"a ","NULL"}' },
    { name: 'a type of the user', type: 99_999, from: '(1.50, )', to: '(1.50, )' },
  ])('$name', ({ type, from, to }) => expect(canonicalText(type, from)).toBe(to))

  test.each([
    ['2026-01-31 12:00:00.5+00', '2026-01-31 12:00:00.5'],
    ['2026-01-31 14:00:00.5+02', '2026-01-31 12:00:00.5'],
    ['2026-01-31 23:30:00-05:30', '2026-02-01 05:00:00'],
    ['2024-03-01 00:30:00+01', '2024-02-29 23:30:00'],
    ['1800-01-01 00:00:00+00:53:28', '1799-12-31 23:06:32'],
    ['0001-01-01 00:00:00+01', '0001-12-31 23:00:00 BC'],
    ['0001-12-31 23:00:00-01 BC', '0001-01-01 00:00:00'],
    ['294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59.999999'],
    ['infinity', 'infinity'],
    ['31/01/2026 12:00:00 CET', '31/01/2026 12:00:00 CET'],
  ])('timestamptz %s', (from, to) => expect(canonicalText(OID.timestamptz, from)).toBe(to))
})

describe('what differs stays different', () => {
  test.each([
    { name: 'digits beyond a double', type: OID.json, a: '12345678901234567890', b: '12345678901234567891' },
    { name: 'a decimal', type: OID.numeric, a: '1.5', b: '1.51' },
    { name: 'a minute of a zone', type: OID.timestamptz, a: '2026-01-01 00:00:00+05:30', b: '2026-01-01 00:00:00+05' },
    { name: 'json null and the text null', type: OID.json, a: 'null', b: '"null"' },
    { name: 'NULL and the text NULL in an array', type: 1014, a: '{NULL}', b: '{"NULL"}' },
  ])('$name', ({ type, a, b }) => expect(canonicalText(type, a)).not.toBe(canonicalText(type, b)))
})

test('canonical is final, and never throws', () => {
  const types = [
    OID.interval,
    OID.numeric,
    OID.float8,
    OID.json,
    OID.jsonb,
    OID.bytea,
    OID.bpchar,
    OID.timestamptz,
    1231,
    199,
    1001,
  ]
  const hostile = fc.oneof(fc.string(), fc.json(), fc.double().map(String), fc.stringMatching(/^[-{}",\\0-9.e ]*$/))
  fc.assert(
    fc.property(fc.constantFrom(...types), hostile, (type, text) => {
      const once = canonicalText(type, text)
      expect(canonicalText(type, once)).toBe(once)
    }),
    { numRuns: 3000 },
  )
})

describe('as a real server prints', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createDatabase()
  })
  afterAll(() => database.drop())

  async function printed(sql: string): Promise<string[]> {
    const { rows } = await database.query(sql)
    return (rows as { v: string }[]).map(({ v }) => v)
  }

  test('a moment is the same in every time zone', async () => {
    const zones = ['UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Europe/Amsterdam', 'Pacific/Kiritimati']
    const moments = `VALUES ('2026-07-01 00:30:00.25+00'), ('1850-01-01 00:00:00+00'), ('0001-01-01 00:00:00+00'), ('294276-12-31 00:00:00+00')`
    const seen = new Set<string>()
    for (const zone of zones) {
      await database.query(`SET TimeZone = '${zone}'`)
      const texts = await printed(`SELECT (column1::timestamptz)::text AS v FROM (${moments}) AS m`)
      seen.add(JSON.stringify(texts.map((text) => canonicalText(OID.timestamptz, text))))
    }
    expect([...seen]).toEqual([
      JSON.stringify(['2026-07-01 00:30:00.25', '1850-01-01 00:00:00', '0001-01-01 00:00:00', '294276-12-31 00:00:00']),
    ])
  })

  test.each([
    { type: 'tstzrange', literal: '[2026-07-01 00:30:00.25+00,2026-08-01 00:00:00+00)' },
    { type: 'tstzmultirange', literal: '{[2026-07-01 00:30:00+00,2026-07-02 00:00:00+00),[2026-08-01 00:00:00+00,)}' },
    { type: 'tstzrange[]', literal: '{"[2026-07-01 00:30:00+00,)",empty,NULL}' },
  ])('$type is the same in every time zone', async ({ type, literal }) => {
    const { rows: oid } = await database.query(`SELECT '${type}'::regtype::oid::int AS oid`)
    const seen = new Set<string>()
    for (const zone of ['UTC', 'Asia/Kathmandu', 'America/St_Johns']) {
      await database.query(`SET TimeZone = '${zone}'`)
      const [text] = await printed(`SELECT '${literal}'::${type}::text AS v`)
      seen.add(canonicalText((oid as { oid: number }[])[0]!.oid, text!))
    }
    expect([...seen]).toHaveLength(1)
  })

  test.each([
    { type: 'numrange', a: '[1.50,2.0]', b: '[1.5,2]' },
    { type: 'nummultirange', a: '{[1.50,2.0),[3.0,)}', b: '{[1.5,2),[3,)}' },
    { type: 'numrange[]', a: '{"[1.50,2.0)",empty}', b: '{"[1.5,2)",empty}' },
    { type: 'point', a: '(1,2.50)', b: '(1.0,2.5)' },
    { type: 'circle', a: '<(1e2,0),3>', b: '<(100,0),3.0>' },
  ])('$type: $a and $b are one value', async ({ type, a, b }) => {
    const { rows } = await database.query(
      `SELECT '${type}'::regtype::oid::int AS oid, '${a}'::${type}::text AS a, '${b}'::${type}::text AS b`,
    )
    const [row] = rows as { oid: number; a: string; b: string }[]
    expect(canonicalText(row!.oid, row!.a)).toBe(canonicalText(row!.oid, row!.b))
  })

  test('an interval is the same in every style, and in binary', async () => {
    const parts = [0, 1, -1, 2]
    const made = parts.flatMap((months) =>
      parts.flatMap((days) =>
        parts.map((seconds) => [months * 14, days * 40, `${seconds * 100_000}.${Math.abs(seconds) * 25}`]),
      ),
    )
    const literals = [
      ...made.map(([months, days, seconds]) => `${months} mons ${days} days ${seconds} secs`),
      ...[
        '178956970 years 7 mons',
        '-1 mon 1 day -1 s',
        '-0.000001 s',
        '100:00:00',
        '1 day -00:00:01',
        '5 min',
        '1 hour',
      ],
    ]
    // Read in one style, since what a sign is of depends on it as well.
    await database.query(`SET IntervalStyle = postgres; CREATE TEMP TABLE spans (place int, span interval)`)
    await database.query(
      'INSERT INTO spans SELECT place, x::interval FROM unnest($1::text[]) WITH ORDINALITY AS given (x, place)',
      [literals],
    )
    const seen = new Map<string, string[]>()
    for (const style of ['postgres', 'postgres_verbose', 'sql_standard', 'iso_8601']) {
      await database.query(`SET IntervalStyle = '${style}'`)
      const texts = await printed('SELECT span::text AS v FROM spans ORDER BY place')
      seen.set(style, texts)
      expect([style, texts.map((text) => canonicalText(OID.interval, text))]).toEqual([style, seen.get('postgres')])
    }
    expect(new Set([...seen.values()].map((texts) => texts[40])).size).toBe(4)
    const sent = await printed(`SELECT encode(interval_send(span), 'hex') AS v FROM spans ORDER BY place`)
    const binary = sent.map((hex) => binaryToText(OID.interval, Buffer.from(hex, 'hex')))
    expect(binary).toEqual(seen.get('postgres'))
  })

  test('an amount of money is the number it became', async () => {
    const sql = `SELECT v::money::text AS a, v::text AS b FROM (VALUES (1234.5::numeric), (-0.99), (0)) AS t (v)`
    const { rows } = await database.query(sql)
    for (const { a, b } of rows as { a: string; b: string }[])
      expect(canonicalText(790, a)).toBe(canonicalText(OID.numeric, b))
  })

  test('bytea is the same in both output formats', async () => {
    const sql = `SELECT v::text AS v FROM (VALUES ('\\x00ff5c27'::bytea), ('\\x'), ('tab\\011é')) AS t (v)`
    await database.query('SET bytea_output = escape')
    const escaped = await printed(sql)
    await database.query('SET bytea_output = hex')
    const hex = await printed(sql)
    expect(escaped).not.toEqual(hex)
    expect(escaped.map((text) => canonicalText(OID.bytea, text))).toEqual(hex)
  })

  test('json and jsonb of one document are equal', async () => {
    const documents = fc.sample(fc.json({ maxDepth: 3 }), 200).filter((text) => !text.includes('\\u0000'))
    const { rows } = await database.query(
      'SELECT x::json::text AS a, x::jsonb::text AS b FROM unnest($1::text[]) AS x',
      [documents],
    )
    for (const { a, b } of rows as { a: string; b: string }[]) {
      expect(canonicalText(OID.json, a)).toBe(canonicalText(OID.jsonb, b))
    }
  })

  test('floats and numerics of one number are equal', async () => {
    const numbers = fc.sample(fc.double({ noDefaultInfinity: true, noNaN: true }), 300).map(String)
    const { rows } = await database.query(
      'SELECT x::float8::text AS a, (x::float8::text)::numeric::text AS b FROM unnest($1::text[]) AS x',
      [numbers],
    )
    for (const { a, b } of rows as { a: string; b: string }[]) {
      expect(canonicalText(OID.float8, a)).toBe(canonicalText(OID.numeric, b))
    }
  })
})
