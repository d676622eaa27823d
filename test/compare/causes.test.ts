import { describe, expect, test } from 'vitest'
import { explainNewError, explainVanishedError } from '../../replayer/compare/causes/errors.js'
import { explain } from '../../replayer/compare/causes/explain.js'
import { explainColumn } from '../../replayer/compare/causes/values.js'
import type { Written } from '../../replayer/compare/causes/written.js'
import { difference } from '../../replayer/compare/judgement.js'
import { plainColumn } from '../../replayer/compare/nature.js'
import { CLOCKS, column, outcome } from './examples.js'

const TEXT = 25
const INT = 23
const NUMERIC = 1700
const TIMESTAMPTZ = 1184

const WRITTEN: Written = {
  leftOut: new Map([
    ['id', 'sequence'],
    ['status', 'default'],
  ]),
  uniqueColumns: (name) => ({ t_pkey: ['id'], t_email_key: ['email'] })[name] ?? null,
  onDelete: (name) => (name === 'cascading' ? 'cascade' : 'no action'),
  pointsAt: () => null,
  isFound: (name) => name === 'orders',
  removes: true,
}

function why(before: string | null, after: string | null, type = TEXT, typeAfter = type): string {
  const nature = { ...plainColumn('x'), table: 't' }
  const pair = { column: 0, before, after, rowBefore: [before], rowAfter: [after] }
  const cause = explainColumn({ position: 0, nature, types: { before: type, after: typeAfter }, pairs: [pair] }, CLOCKS)
  return cause.sentence(cause.detail)
}

describe('why a text differs', () => {
  test.each([
    { before: 'abcdefgh', after: 'abcd', says: 'x is cut to 4 characters' },
    { before: 'żółw-morski', after: 'żółw', says: 'x is cut to 4 characters' },
    { before: '0048123', after: '8123', says: 'x has lost its first 3 characters' },
    { before: 'ab', after: 'ab   ', says: 'x is padded with blanks to 5 characters' },
    { before: ' ab ', after: 'ab', says: 'x has lost the blanks around it' },
    { before: 'ab  ', after: 'ab', says: 'x has lost the blanks around it' },
    { before: 'Ann@X.org', after: 'ann@x.org', says: 'x is in lower case now' },
    { before: 'ann', after: 'ANN', says: 'x is in upper case now' },
    { before: 'aNN', after: 'Ann', says: 'x differs in upper and lower case' },
    { before: 'Zoë', after: 'Zoe\u0308', says: 'x has another Unicode normalisation (NFD)' },
    { before: 'Zoë', after: 'ZoÃ«', says: 'x has a damaged encoding (UTF-8 read as Latin-1)' },
    { before: '5 €', after: '5 â‚¬', says: 'x has a damaged encoding (UTF-8 read as Latin-1)' },
    { before: 'Zoë', after: 'Zo?', says: 'x has a damaged encoding (characters replaced by ?)' },
    { before: 'Zoë', after: 'Zo\ufffd', says: 'x has a damaged encoding (characters replaced by U+FFFD)' },
    { before: 'Zoë', after: 'Zoe', says: 'x has lost its accents' },
    { before: 'a\r\nb', after: 'a\nb', says: 'x has other line ends' },
    { before: 'a  b', after: 'a b', says: 'x has other white space' },
    { before: '00712', after: '712', says: 'x has lost its leading zeros' },
    { before: 'a & b', after: 'a &amp; b', says: 'x is escaped once too often (HTML)' },
    { before: "O'Neil", after: "O''Neil", says: 'x is escaped once too often (quotes)' },
    { before: 'abc', after: '', says: 'x is empty where it had a value' },
    { before: '', after: null, says: 'x is NULL where it had a value' },
    { before: 'pending', after: null, says: 'x is NULL where it had a value' },
    { before: null, after: '', says: 'x is empty where it was NULL' },
    { before: null, after: 'pending', says: 'x is pending where it was NULL' },
    { before: 'shipped', after: 'dispatched', says: 'x is dispatched where it was shipped' },
    { before: 'a1', after: 'b2', says: 'x differs' },
  ])('$before → $after: $says', ({ before, after, says }) => expect(why(before, after)).toBe(says))
})

describe('why a value of several differs', () => {
  const INTS = 1007
  test.each([
    { before: '{a,b,c}', after: '{a}', says: 'x is cut to its first 1 element (an array)' },
    { before: '{a,"b c",NULL}', after: '{a,"b c"}', says: 'x is cut to its first 2 elements (an array)' },
    { before: '{a,b,c}', after: '{a,c}', says: 'x has lost elements of its array' },
    { before: '{a,b}', after: '{}', says: 'x has lost elements of its array' },
    { before: '{a}', after: '{a,b}', says: 'x has new elements in its array' },
    { before: '{a,b,a}', after: '{a,b}', says: 'x has lost repeated elements of its array' },
    { before: '{a,b}', after: '{a,b,b}', says: 'x has elements of its array repeated' },
    { before: '{a,b}', after: '{b,a}', says: 'x has its elements in another order' },
    { before: '["a", 1, 2]', after: '["a"]', says: 'x is cut to its first 1 element (an array)' },
    { before: '{Ann,Bo}', after: '{ann,bo}', says: 'x is in lower case now' },
    { before: '{a1,b2}', after: '{c3,d4}', says: 'x differs' },
    { before: '(Main,123,Rome)', after: '(Rome,123,Main)', says: 'x has its field 1 and field 3 swapped' },
    { before: '("a b",,1)', after: '("a b",,"")', says: 'x.field 3 is empty where it had a value' },
    { before: '(1,abcdef)', after: '(1,abc)', says: 'x.field 2 is cut to 3 characters' },
    { before: '(1,a1)', after: '(2,b2)', says: 'x differs' },
  ])('$before → $after: $says', ({ before, after, says }) => expect(why(before, after)).toBe(says))

  test.each([
    { before: '{"w": 347, "c": 1}', after: '{"c": 1, "w": 350}', says: 'x -> w is rounded to tens' },
    { before: '{"a": {"b": "Ann"}}', after: '{"a": {"b": "ann"}}', says: 'x -> a.b is in lower case now' },
    {
      before: '{"a": [{"b": 1.25}, {"b": 2.5}]}',
      after: '{"a": [{"b": 1.3}, {"b": 3}]}',
      says: 'x -> a[].b is rounded to 1 decimal',
    },
    { before: '{"a": "pending"}', after: '{"a": null}', says: 'x -> a is NULL where it had a value' },
    { before: '{"a": 1, "b": 2}', after: '{"a": 7, "b": 9}', says: 'x has other numbers in its JSON' },
  ])('$before → $after: $says', ({ before, after, says }) => expect(why(before, after, 3802)).toBe(says))
  test('elements are explained as what they are', () =>
    expect(why('{70000,1}', '{4464,1}', INTS)).toBe('each element of x that differs does not fit 16 bits any more'))
  test('fields are called by their names where the type is known', () => {
    const nature = { ...plainColumn('seat'), table: 't', fields: ['street', 'zip', 'city'] }
    const pair = { column: 0, before: '(Main,1,Rome)', after: '(Rome,1,Main)', rowBefore: [], rowAfter: [] }
    const cause = explainColumn({ position: 0, nature, types: { before: 0, after: 0 }, pairs: [pair] }, CLOCKS)
    expect(cause.sentence(cause.detail)).toBe('seat has its street and city swapped')
  })
})

describe('why a number differs', () => {
  test.each([
    { before: '12.345', after: '12.35', says: 'x is rounded to 2 decimals' },
    { before: '-12.345', after: '-12.35', says: 'x is rounded to 2 decimals' },
    { before: '12.349', after: '12.34', says: 'x is cut to 2 decimals' },
    { before: '12.5', after: '13', says: 'x is rounded to whole numbers' },
    { before: '12.99', after: '12', says: 'x is cut to whole numbers' },
    { before: '5', after: '-5', says: 'x has the opposite sign' },
    { before: '70000', after: '4464', says: 'x does not fit 16 bits any more' },
    { before: '3000000000', after: '-1294967296', says: 'x does not fit 32 bits any more' },
    { before: '130000', after: '64464', says: 'x does not fit 16 bits any more (it starts again after 65535)' },
    { before: '3000000000', after: '2147483647', says: 'x does not fit 32 bits any more' },
    { before: '19.99', after: '1999', says: 'x is 100 times too large (another unit)' },
    { before: '1999', after: '19.99', says: 'x is 100 times too small (another unit)' },
    { before: '7', after: '21', says: 'x is 3 times what it was' },
    { before: '7', after: '8', says: 'x is one higher' },
    { before: '7', after: '12', says: 'x is higher by 5' },
    { before: '12.5', after: '10.25', says: 'x is lower by 2.25' },
    { before: '347', after: '350', says: 'x is rounded to tens' },
    { before: '298', after: '300', says: 'x is rounded to hundreds' },
  ])('$before → $after: $says', ({ before, after, says }) => expect(why(before, after, NUMERIC)).toBe(says))

  test.each([
    {
      name: 'apart by the same',
      pairs: [
        ['193', '200'],
        ['5', '12'],
        ['64', '71'],
      ],
      says: 'x is higher by 7',
    },
    {
      name: 'rounded',
      pairs: [
        ['347', '350'],
        ['298', '300'],
        ['1001', '1000'],
      ],
      says: 'x is rounded to tens',
    },
    {
      name: 'neither',
      pairs: [
        ['347', '350'],
        ['5', '11'],
      ],
      says: 'x differs',
    },
  ])('of several: $name', ({ pairs, says }) => {
    const nature = { ...plainColumn('x'), table: 't' }
    const cells = pairs.map(([before, after]) => ({
      column: 0,
      before: before!,
      after: after!,
      rowBefore: [],
      rowAfter: [],
    }))
    const cause = explainColumn({ position: 0, nature, types: { before: INT, after: INT }, pairs: cells }, CLOCKS)
    expect(cause.sentence(cause.detail)).toBe(says)
  })
  test('a numeric that became a float', () =>
    expect(why('0.3', '0.30000000000000004', NUMERIC, 701)).toBe(
      'x is a floating-point number now and no longer exact',
    ))
  test('integers do not count as text', () => expect(why('1234', '12', INT)).toBe('x is lower by 1222'))
})

describe('why a moment differs', () => {
  test.each([
    {
      before: '2026-01-02 10:00:00.5+00',
      after: '2026-01-02 05:00:00.5+00',
      says: 'x is exactly 5 hours earlier (time zone)',
    },
    {
      before: '2026-01-02 10:00:00+00',
      after: '2026-01-02 15:30:00+00',
      says: 'x is exactly 330 minutes later (time zone)',
    },
    {
      before: '2026-01-02 10:00:00.123456+00',
      after: '2026-01-02 10:00:00.123+00',
      says: 'x has lost precision (whole milliseconds)',
    },
    {
      before: '2026-01-02 10:00:00.6+00',
      after: '2026-01-02 10:00:01+00',
      says: 'x has lost precision (whole seconds)',
    },
    { before: '2026-01-02 10:00:00+00', after: '2026-01-02', says: 'x has lost its time of day' },
    { before: '2026-01-02', after: '2026-01-01', says: 'x is 1 day earlier (time zone)' },
    { before: '2026-01-02 10:00:00+00', after: '2025-03-02 11:07:00+00', says: 'x differs' },
  ])('$before → $after: $says', ({ before, after, says }) => expect(why(before, after, TIMESTAMPTZ)).toBe(says))

  test('set by the change on one side, and left as it was on the other', () => {
    const [old, made] = ['2024-03-01 08:00:00+00', '2026-06-01 12:00:30+00']
    expect(why(made, old, TIMESTAMPTZ)).toBe(
      'x is an old moment where the change had set it to the present (a lost trigger?)',
    )
    expect(why(old, '2026-06-01 12:10:30+00', TIMESTAMPTZ)).toBe(
      'x is set to the present by the change where it was an old moment',
    )
  })
  test('made in the replay, hours apart from its run', () =>
    // examples: before runs from 12:00, after from 12:10
    expect(why('2026-06-01 12:00:01.25+00', '2026-06-01 07:10:01.75+00', TIMESTAMPTZ)).toBe(
      'x is exactly 5 hours earlier (time zone)',
    ))
})

describe('why a structure differs', () => {
  test.each([
    { before: '{"a": 1, "b": {"c": 2}}', after: '{"a": 1, "b": {}}', type: 3802, says: 'x has lost the JSON key b.c' },
    { before: '{"a": 1}', after: '{"a": 1, "z": 2}', type: 3802, says: 'x has the new JSON key z' },
    {
      before: '{"a": 12345678901234567890}',
      after: '{"a": 12345678901234567000}',
      type: 3802,
      says: 'x has other numbers in its JSON',
    },
    { before: '{b,a}', after: '{a,b}', type: 1009, says: 'x has its elements in another order' },
    { before: 't', after: 'f', type: 16, says: 'x is false where it was true' },
  ])('$before → $after: $says', ({ before, after, type, says }) => expect(why(before, after, type)).toBe(says))
})

test('the explainer that explains most speaks, and details that vary are left out', () => {
  const nature = { ...plainColumn('x'), table: 't' }
  const pairs = [
    ['abcdef', 'abc'],
    ['abcdef', 'abcd'],
    ['q', 'r'],
  ].map(([before, after]) => ({ column: 0, before: before!, after: after!, rowBefore: [], rowAfter: [] }))
  const cause = explainColumn({ position: 0, nature, types: { before: TEXT, after: TEXT }, pairs }, CLOCKS)
  expect(cause.sentence(cause.detail)).toBe('x is cut short')
})

test('NULL where a default should stand', () => {
  const nature = { ...plainColumn('orders.currency'), table: 'orders', hasDefault: true }
  const pairs = [{ column: 0, before: 'EUR', after: null, rowBefore: [], rowAfter: [] }]
  const cause = explainColumn({ position: 0, nature, types: { before: TEXT, after: TEXT }, pairs }, CLOCKS)
  expect(cause.sentence(cause.detail)).toBe('orders.currency is NULL where it had a value (a lost default?)')
})

test('a wrong foreign key', () => {
  const nature = { ...plainColumn('orders.customer_id'), table: 'orders', references: 'customers' }
  const pairs = [{ column: 0, before: '17', after: '940', rowBefore: [], rowAfter: [] }]
  const cause = explainColumn({ position: 0, nature, types: { before: INT, after: INT }, pairs }, CLOCKS)
  expect(cause.sentence(cause.detail)).toBe('orders.customer_id points at another row of customers')
})

describe('why rows differ', () => {
  const columns = [column('id', INT), column('status'), column('note')]
  const natures = columns.map(({ name }) => ({ ...plainColumn(`orders.${name}`), table: 'orders', key: name === 'id' }))
  const rows = [
    ['1', 'open', 'a'],
    ['2', 'void', null],
    ['3', 'open', 'c'],
    ['4', 'void', null],
    ['5', 'void', null],
  ]
  const say = (parts: Parameters<typeof difference>[2], kind: Parameters<typeof difference>[1], after = rows) => {
    const context = {
      before: outcome(columns, rows),
      after: outcome(columns, after),
      natures,
      clocks: CLOCKS,
      writes: false,
    }
    return explain(difference('SEMANTIC_MISMATCH', kind, parts), context).map((cause) => cause.sentence(cause.detail))
  }
  test('missing rows share a value', () =>
    expect(say({ missing: [rows[1]!, rows[3]!, rows[4]!] }, 'rows_missing', [rows[0]!, rows[2]!])).toEqual([
      "rows of orders where status = 'void' and note is NULL are missing",
    ]))
  test('missing rows that share nothing', () =>
    expect(say({ missing: [rows[0]!, rows[1]!] }, 'rows_missing', [rows[2]!, rows[3]!])).toEqual([
      'rows of orders are missing',
    ]))
  test('a join that fans out', () =>
    expect(say({ extra: [rows[0]!] }, 'rows_extra', [...rows, rows[0]!])).toEqual([
      'rows of orders are duplicated (a join that fans out)',
    ]))
  test('a join that fans out, and pushes the last rows out of a LIMIT', () =>
    expect(
      say({ missing: [rows[4]!], extra: [rows[0]!] }, 'rows_missing', [rows[0]!, rows[0]!, ...rows.slice(1, 4)]),
    ).toEqual(['rows of orders are duplicated (a join that fans out)']))
  test('columns swapped', () => {
    const rowBefore = ['1', 'open', 'a']
    const rowAfter = ['1', 'a', 'open']
    const cells = [1, 2].map((at) => ({
      column: at,
      before: rowBefore[at]!,
      after: rowAfter[at]!,
      rowBefore,
      rowAfter,
    }))
    expect(say({ columns: [1, 2], cells }, 'values')).toEqual(['orders.status and orders.note are swapped'])
  })
  const named = (...names: string[]) => names.map((name) => ['1', name, null])
  test.each([
    { from: ['a', 'B', 'c'], to: ['B', 'a', 'c'], says: 'another collation' },
    { from: ['a', 'b', 'c'], to: ['c', 'b', 'a'], says: 'the other way round' },
  ])('sorted $from, then $to', ({ from, to, says }) => {
    const context = {
      before: outcome(columns, named(...from)),
      after: outcome(columns, named(...to)),
      natures,
      clocks: CLOCKS,
      writes: false,
    }
    const [cause] = explain(difference('SEMANTIC_MISMATCH', 'order', { columns: [1] }), context)
    expect(cause!.sentence(cause!.detail)).toBe(`rows come in another order of orders.status (${says})`)
  })
})

describe('why behind a LIMIT other rows come', () => {
  const columns = [column('id', INT), column('name')]
  const natures = columns.map(({ name }) => ({ ...plainColumn(`goods.${name}`), table: 'goods', key: name === 'id' }))
  /** The first three of these names and those. */
  const say = (from: readonly string[], to: readonly string[], cutBy: number | null = 1, type = TEXT) => {
    const rows = (names: readonly string[]) => names.map((name) => [`id of ${name}`, name])
    const context = {
      before: outcome([columns[0]!, column('name', type)], rows(from)),
      after: outcome([columns[0]!, column('name', type)], rows(to)),
      natures,
      clocks: CLOCKS,
      writes: false,
      cutBy,
    }
    const missing = rows(from.filter((name) => !to.includes(name)))
    const extra = rows(to.filter((name) => !from.includes(name)))
    const found = explain(difference('SEMANTIC_MISMATCH', 'rows_missing', { missing, extra }), context)
    return found.map((cause) => `${cause.sentence(cause.detail)}: ${cause.columns.join()}`)
  }
  const collated = ['rows come in another order of goods.name (another collation): 1']
  const reversed = ['rows come in another order of goods.name (the other way round): 1']
  test.each([
    { name: 'capitals came first', from: ['Chair', 'Kettle', 'Lamp'], to: ['armchair', 'Chair', 'Kettle'] },
    { name: 'none is left of them', from: ['Old Chair', 'Old Chair 2'], to: ['Old armchair', 'Old armchair 2'] },
    { name: 'the other way', from: ['armchair', 'Chair'], to: ['Chair', 'Kettle'] },
    { name: 'letters with accents', from: ['Zebra', 'zoo'], to: ['Éclair', 'Zebra'] },
    { name: 'downwards', from: ['étagère', 'armchair'], to: ['Teapot', 'Saddle'] },
    { name: 'blanks count for nothing', from: ['tea pot', 'teabag'], to: ['teabag', 'teapool'] },
  ])('another collation: $name', ({ from, to }) => expect(say(from, to)).toEqual(collated))
  test.each([
    { from: ['Chair', 'Kettle'], to: ['Teapot', 'Shelf'], type: TEXT },
    { from: ['9', '10'], to: ['120', '99'], type: INT },
  ])('the other way round: $from and $to', ({ from, to, type }) => expect(say(from, to, 1, type)).toEqual(reversed))
  test.each([
    { name: 'rows are lost, and the next move up', from: ['Chair', 'Kettle', 'Lamp'], to: ['Kettle', 'Lamp', 'Spade'] },
    { name: 'rows are lost of those in small letters', from: ['Old', 'armchair'], to: ['Old', 'kettle'] },
    { name: 'all of them are others', from: ['Chair', 'Kettle'], to: ['Lamp', 'Spade'] },
    { name: 'nobody knows by what they are sorted', from: ['Chair'], to: ['armchair'], cutBy: null },
  ])('not the order: $name', ({ from, to, cutBy = 1 }) =>
    expect(say(from, to, cutBy)).toEqual(['other rows of goods come: ']),
  )
})

describe('why values differ that none of the explainers knows', () => {
  const columns = [column('id', INT), column('state'), column('orders', INT)]
  const natures = [
    { ...plainColumn('t.id'), table: 't' },
    { ...plainColumn('t.state'), table: 't', view: 'v' },
    { ...plainColumn('v.orders'), table: 'v', view: 'v' },
  ]
  const say = (pairs: readonly (readonly [string, string])[], more: Partial<Parameters<typeof explain>[1]>) => {
    const rows = (at: 0 | 1) => pairs.map((pair, row) => [String(row), pair[at], '7'])
    const cells = pairs.map(([before, after], row) => ({
      ...{ column: 1, before, after, rowBefore: rows(0)[row]!, rowAfter: rows(1)[row]! },
    }))
    const base = { before: outcome(columns, rows(0)), after: outcome(columns, rows(1)), natures, clocks: CLOCKS }
    const found = explain(difference('SEMANTIC_MISMATCH', 'values', { columns: [1], cells }), {
      ...base,
      writes: true,
      ...more,
    })
    return found.map((cause) => cause.sentence(cause.detail))
  }
  const set = (value: string) => ({ given: new Map([['t.state', value]]) })
  test('the statement sets it, and another value comes back', () => {
    expect(say([['paid', 'open']], set('paid'))).toEqual([
      't.state comes back otherwise than the statement sets it (a trigger, RETURNING?)',
    ])
    expect(say([['paid', 'open']], set('sent'))).toEqual(['t.state is open where it was paid'])
    expect(say([['paid', 'pai']], set('paid'))).toEqual(['t.state is cut to 3 characters'])
  })
  test('what a view computes is the same, and whose it is differs', () => {
    const pairs = [
      ['A1', 'B2'],
      ['C3', 'D4'],
    ] as const
    expect(say(pairs, {})).toEqual(['what v computes stands beside another t.state (a join by another key?)'])
    expect(say(pairs, { natures: natures.map((nature) => ({ ...nature, view: '' })) })).toEqual(['t.state differs'])
    // One word in place of one other is no other row, however often.
    const replaced = [
      ['expense', 'asset'],
      ['expense', 'asset'],
    ] as const
    expect(say(replaced, {})).toEqual(['t.state is asset where it was expense'])
    expect(say(pairs, { natures: natures.map((nature) => ({ ...nature, table: 't' })) })).toEqual([
      't.state differs in what v shows',
    ])
  })
})

describe('why an error is new', () => {
  test.each([
    {
      sqlstate: '42703',
      message: 'column "phone" does not exist',
      says: 'column phone does not exist (SQLSTATE 42703)',
    },
    {
      sqlstate: '42703',
      message: 'column u.phone does not exist',
      says: 'column u.phone does not exist (SQLSTATE 42703)',
    },
    {
      sqlstate: '42P01',
      message: 'relation "orders" does not exist',
      says: 'relation orders does not exist (SQLSTATE 42P01)',
    },
    {
      sqlstate: '42883',
      message: 'function slug(text) does not exist',
      says: 'function slug(text) does not exist (SQLSTATE 42883)',
    },
    {
      sqlstate: '42501',
      message: 'permission denied for table orders',
      says: 'permission is denied for table orders (SQLSTATE 42501)',
    },
    {
      sqlstate: '22001',
      message: 'value too long for type character varying(32)',
      says: 'a value is too long for character varying(32) (SQLSTATE 22001)',
    },
    {
      sqlstate: '22P02',
      message: 'invalid input value for enum order_status: "void"',
      says: 'a value is no valid order_status (SQLSTATE 22P02)',
    },
    {
      sqlstate: '23505',
      message: 'x',
      constraint: 'users_email_key',
      table: 'users',
      says: 'unique constraint users_email_key of users refuses rows (SQLSTATE 23505)',
    },
    {
      sqlstate: '23502',
      message: 'x',
      column: 'email',
      table: 'users',
      says: 'users.email must not be NULL (SQLSTATE 23502)',
    },
    { sqlstate: '40P01', message: 'x', says: 'transactions deadlock (SQLSTATE 40P01)' },
    { sqlstate: 'XX000', message: 'secret 42', says: 'an error (SQLSTATE XX000)' },
  ])('$says', ({ says, ...error }) => {
    const cause = explainNewError(error)
    expect(cause.sentence(cause.detail)).toBe(says)
  })
  test.each([
    {
      name: 'a partition that is missing',
      error: { message: 'no partition of relation "views" found for row', table: 'views' },
      says: 'no partition of views takes rows that it had a place for (a partition is missing, or its bounds are wrong) (SQLSTATE 23514)',
      gone: 'rows of views that no partition took are accepted now',
    },
    {
      name: 'a server that speaks another language',
      error: { message: 'keine Partition von Relation »views« für die Zeile gefunden', table: 'views' },
      says: 'the partition bounds of views refuse rows (SQLSTATE 23514)',
      gone: 'rows of views that no partition took are accepted now',
    },
    {
      name: 'a check has a name, and is none',
      error: { message: 'x', table: 'views', constraint: 'views_check' },
      says: 'check constraint views_check of views refuses rows (SQLSTATE 23514)',
      gone: 'check constraint views_check of views no longer refuses rows',
    },
  ])('$name', ({ error, says, gone }) => {
    const told = [explainNewError, explainVanishedError].map((explained) => {
      const cause = explained({ sqlstate: '23514', ...error })
      return cause.sentence(cause.detail)
    })
    expect(told).toEqual([says, gone])
  })
  test('an enum that lost a label: the one value that is the schema and may be named', () => {
    const error = { sqlstate: '22P02', message: 'invalid input value for enum order_status: "shipped"' }
    const isLabel = (type: string, label: string) => type === 'order_status' && label === 'shipped'
    expect(explainNewError(error, isLabel).sentence('')).toBe(
      'enum order_status has lost its label shipped (SQLSTATE 22P02)',
    )
    expect(explainNewError(error, () => false).sentence('')).not.toContain('shipped')
  })
  test.each([
    { error: { sqlstate: '23502', column: 'status', table: 't' }, says: 't.status must not be NULL: a lost default?' },
    { error: { sqlstate: '23502', column: 'note', table: 't' }, says: 't.note must not be NULL' },
    {
      error: { sqlstate: '23505', constraint: 't_v2_pkey' },
      says: 'unique constraint t_v2_pkey refuses rows: a sequence that is behind its table?',
    },
    {
      error: { sqlstate: '23505', constraint: 't_pkey' },
      says: 'unique constraint t_pkey refuses rows: a sequence that is behind its table?',
    },
    {
      error: { sqlstate: '42P01', message: 'relation "orders" does not exist' },
      says: 'relation orders does not exist: gone, or in a schema that the search_path does not name?',
    },
    {
      error: { sqlstate: '42P01', message: 'relation "nonsense" does not exist' },
      says: 'relation nonsense does not exist',
    },
    { error: { sqlstate: '23505', constraint: 't_email_key' }, says: 'unique constraint t_email_key refuses rows' },
    { error: { sqlstate: '23503', constraint: 'plain' }, says: 'foreign key plain refuses rows' },
    {
      error: { sqlstate: '23503', constraint: 'cascading' },
      says: 'foreign key cascading refuses rows: a lost ON DELETE CASCADE?',
    },
  ])('and what the statement says about it: $says', ({ error, says }) => {
    const cause = explainNewError({ message: 'x', ...error }, undefined, WRITTEN)
    expect(cause.sentence(cause.detail)).toBe(`${says} (SQLSTATE ${error.sqlstate})`)
    expect(cause.sentence(null)).not.toContain('?')
  })
  test('a row goes that others point at, and nothing refuses that', () => {
    const error = { sqlstate: '23503', message: 'x', constraint: 'plain', table: 'items' }
    const say = (removes: boolean) => {
      const cause = explainVanishedError(error, { ...WRITTEN, removes })
      return cause.sentence(cause.detail)
    }
    expect(say(false)).toBe('foreign key plain of items no longer refuses rows')
    expect(say(true)).toBe(
      'foreign key plain of items no longer refuses rows when what they point at goes (lost, or ON DELETE takes them along?)',
    )
  })
  test('a constraint that is gone', () =>
    expect(
      explainVanishedError({ sqlstate: '23505', message: 'x', constraint: 'users_email_key', table: 'users' }).sentence(
        '',
      ),
    ).toBe('unique constraint users_email_key of users no longer refuses duplicates'))
})
