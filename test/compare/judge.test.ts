import { describe, expect, test } from 'vitest'
import { judge } from '../../replayer/compare/judge.js'
import type { Judgement } from '../../replayer/compare/judgement.js'
import { plainColumn } from '../../replayer/compare/nature.js'
import type { Row } from '../../segment/outcome.js'
import { column, context, done, failed, knowledge, outcome } from './examples.js'

const id = column('id', 23)
const name = column('name')
const at = column('at', 1184)
const users = [id, name]
const ROWS: readonly Row[] = [
  ['1', 'Ann'],
  ['2', 'Bob'],
  ['3', 'Cid'],
]

function words(judgement: Judgement): string {
  if (judgement.verdict === 'equal') return 'equal'
  if (judgement.verdict === 'excused') return `excused: ${judgement.excuses.join(', ')}`
  return judgement.differences.map((d) => [d.mismatch, d.subKind, ...d.columns].join(' ')).join('; ')
}

describe('errors', () => {
  const known = knowledge([])
  test.each([
    { name: 'both worked', before: done('INSERT 0 1', 1), after: done('INSERT 0 1', 1), is: 'equal' },
    {
      name: 'both refused alike, in other words',
      before: failed('23505', 'a'),
      after: failed('23505', 'b'),
      is: 'equal',
    },
    { name: 'a new error', before: done('INSERT 0 1', 1), after: failed('42703'), is: 'SQL_ERROR error_new' },
    {
      name: 'a new constraint',
      before: done('INSERT 0 1', 1),
      after: failed('23502'),
      is: 'SCHEMA_CONSTRAINT_VIOLATION error_new',
    },
    { name: 'another SQLSTATE', before: failed('22001'), after: failed('22003'), is: 'SQL_ERROR error_changed' },
    {
      name: 'another constraint',
      before: failed('23505'),
      after: failed('23503'),
      is: 'SCHEMA_CONSTRAINT_VIOLATION error_changed',
    },
    {
      name: 'a lost constraint',
      before: failed('23505'),
      after: done('INSERT 0 1', 1),
      is: 'SEMANTIC_MISMATCH error_vanished',
    },
    {
      name: 'other rows affected',
      before: done('UPDATE 2', 2),
      after: done('UPDATE 1', 1),
      is: 'SEMANTIC_MISMATCH row_count',
    },
    {
      name: 'a commit that fails',
      before: done('COMMIT', 0),
      after: done('ROLLBACK', 0),
      is: 'SEMANTIC_MISMATCH values',
    },
    { name: 'a rewritten command', before: done('INSERT 0 1', 1), after: done('SELECT 1', 1), is: 'equal' },
  ])('$name', ({ before, after, is }) => expect(words(judge(before, after, known, context()))).toBe(is))

  test('noise', () =>
    expect(
      words(
        judge(
          done('SELECT 1', 1),
          failed('40001'),
          knowledge([], { noisy: { error: true, rows: false, order: false } }),
          context(),
        ),
      ),
    ).toBe('excused: noise'))
})

describe('results', () => {
  const changed = (rows: readonly Row[]) =>
    words(judge(outcome(users, ROWS), outcome(users, rows), knowledge(users), context()))
  test.each([
    { name: 'the same', rows: ROWS, is: 'equal' },
    { name: 'another order', rows: [...ROWS].reverse(), is: 'excused: order' },
    { name: 'another value', rows: [ROWS[0]!, ['2', 'Rob'], ROWS[2]!], is: 'SEMANTIC_MISMATCH values 1' },
    {
      name: 'another value in another order',
      rows: [['2', 'Rob'], ROWS[2]!, ROWS[0]!],
      is: 'SEMANTIC_MISMATCH values 1',
    },
    { name: 'NULL for a value', rows: [ROWS[0]!, ['2', null], ROWS[2]!], is: 'SEMANTIC_MISMATCH values 1' },
    { name: 'a row missing', rows: ROWS.slice(1), is: 'SEMANTIC_MISMATCH rows_missing' },
    { name: 'no rows left', rows: [], is: 'SEMANTIC_MISMATCH rows_missing' },
    { name: 'a row extra', rows: [...ROWS, ['4', 'Dan']], is: 'SEMANTIC_MISMATCH rows_extra' },
    { name: 'a row repeated', rows: [...ROWS, ROWS[0]!], is: 'SEMANTIC_MISMATCH rows_extra' },
    {
      name: 'names swapped between rows',
      rows: [['1', 'Bob'], ['2', 'Ann'], ROWS[2]!],
      is: 'SEMANTIC_MISMATCH values 1',
    },
    {
      name: 'one missing, another changed',
      rows: [
        ['1', 'Ann'],
        ['2', 'Rob'],
      ],
      is: 'SEMANTIC_MISMATCH rows_missing; SEMANTIC_MISMATCH values 1',
    },
  ])('$name', ({ rows, is }) => expect(changed(rows)).toBe(is))

  test.each([
    { name: 'a column gone', columns: [id], is: 'SEMANTIC_MISMATCH column_set 1' },
    { name: 'a column more', columns: [id, name, at], is: 'SEMANTIC_MISMATCH column_set' },
    { name: 'columns in another order', columns: [name, id], is: 'SEMANTIC_MISMATCH column_set' },
  ])('$name', ({ columns, is }) =>
    expect(words(judge(outcome(users, []), outcome(columns, []), knowledge(users), context()))).toBe(is),
  )

  test('another type, equal values', () => {
    const wide = [column('id', 20), name]
    expect(words(judge(outcome(users, ROWS), outcome(wide, ROWS), knowledge(users), context()))).toBe('excused: type')
  })
  test('numeric without its zeros', () => {
    const price = [column('price', 1700)]
    expect(words(judge(outcome(price, [['1.50']]), outcome(price, [['1.5']]), knowledge(price), context()))).toBe(
      'equal',
    )
  })
  test('a statement about the server', () =>
    expect(
      words(
        judge(outcome([name], [['a']]), outcome([name], [['b']]), knowledge([name], { aboutServer: true }), context()),
      ),
    ).toBe('excused: server'))
})

describe('order', () => {
  const sorted = { sorted: true, total: false, shown: [1], allShown: true, cutFrom: Infinity }
  const rows: readonly Row[] = [
    ['1', 'a'],
    ['2', 'b'],
    ['3', 'b'],
    ['4', 'c'],
  ]
  const tie = [rows[0]!, rows[2]!, rows[1]!, rows[3]!]
  const wrong = [rows[1]!, rows[0]!, rows[2]!, rows[3]!]
  test.each([
    { name: 'rows that tie may permute', sort: sorted, after: tie, is: 'excused: tie' },
    { name: 'rows that do not tie may not', sort: sorted, after: wrong, is: 'SEMANTIC_MISMATCH order 1' },
    {
      name: 'with a unique key nothing ties',
      sort: { ...sorted, total: true },
      after: tie,
      is: 'SEMANTIC_MISMATCH order 1',
    },
    { name: 'no ORDER BY', sort: { ...sorted, sorted: false }, after: wrong, is: 'excused: order' },
    {
      name: 'keys that are not shown',
      sort: { ...sorted, shown: [], allShown: false },
      after: wrong,
      is: 'excused: tie',
    },
  ])('$name', ({ sort, after, is }) =>
    expect(words(judge(outcome(users, rows), outcome(users, after), knowledge(users, { sort }), context()))).toBe(is),
  )
})

describe('LIMIT', () => {
  const sort = { sorted: true, total: false, shown: [1], allShown: true, cutFrom: 3 }
  const unsorted = { ...sort, sorted: false, shown: [] }
  const rows: readonly Row[] = [
    ['1', 'a'],
    ['2', 'b'],
    ['3', 'b'],
  ]
  test.each([
    { name: 'other rows of the tie at the cut', sort, after: [rows[0]!, rows[1]!, ['9', 'b']], is: 'excused: limit' },
    {
      name: 'other rows before the tie',
      sort,
      after: [['9', 'a'], rows[1]!, rows[2]!],
      is: 'SEMANTIC_MISMATCH rows_missing',
    },
    {
      name: 'a total order',
      sort: { ...sort, total: true },
      after: [rows[0]!, rows[1]!, ['9', 'b']],
      is: 'SEMANTIC_MISMATCH values 0',
    },
    {
      name: 'no order at all',
      sort: unsorted,
      after: [
        ['7', 'x'],
        ['8', 'y'],
        ['9', 'z'],
      ],
      is: 'excused: limit',
    },
    { name: 'fewer rows', sort: unsorted, after: rows.slice(1), is: 'SEMANTIC_MISMATCH rows_missing' },
    {
      name: 'the same row with another value',
      sort: unsorted,
      after: [rows[0]!, rows[1]!, ['3', 'B']],
      is: 'SEMANTIC_MISMATCH values 1',
    },
    {
      name: 'a limit that was not reached',
      sort: { ...unsorted, cutFrom: 10 },
      after: [rows[0]!, rows[1]!, ['9', 'z']],
      is: 'SEMANTIC_MISMATCH rows_missing',
    },
  ])('$name', ({ sort, after, is }) =>
    expect(words(judge(outcome(users, rows), outcome(users, after), knowledge(users, { sort }), context()))).toBe(is),
  )
})

describe('values made by the run', () => {
  const columns = [id, at]
  const one = (value: string): readonly Row[] => [['1', value]]
  // Before runs from 12:00, after from 12:10; both are a minute in.
  test.each([
    {
      name: 'now() in each run',
      before: '2026-06-01 12:00:30+00',
      after: '2026-06-01 12:10:30.2+00',
      is: 'excused: volatile',
    },
    {
      name: 'from the snapshot, an hour off',
      before: '2026-05-01 12:00:30+00',
      after: '2026-05-01 13:00:30+00',
      is: 'SEMANTIC_MISMATCH values 1',
    },
    {
      name: 'made in the run, an hour off',
      before: '2026-06-01 12:00:30+00',
      after: '2026-06-01 13:10:30.2+00',
      is: 'SEMANTIC_MISMATCH values 1',
    },
    {
      name: 'one from the data, one from the run',
      before: '2026-05-01 12:00:00+00',
      after: '2026-06-01 12:10:30+00',
      is: 'SEMANTIC_MISMATCH values 1',
    },
    {
      name: 'far apart within the runs',
      before: '2026-06-01 12:00:01+00',
      after: '2026-06-01 12:10:58+00',
      is: 'SEMANTIC_MISMATCH values 1',
    },
  ])('$name', ({ before, after, is }) =>
    expect(
      words(judge(outcome(columns, one(before)), outcome(columns, one(after)), knowledge(columns), context())),
    ).toBe(is),
  )

  test('without a zone, both are equally far from UTC', () => {
    const plain = [id, column('at', 1114)]
    const say = (before: string, after: string) =>
      words(judge(outcome(plain, one(before)), outcome(plain, one(after)), knowledge(plain), context()))
    expect(say('2026-06-01 07:00:30', '2026-06-01 07:10:31')).toBe('excused: volatile')
    expect(say('2026-06-01 07:00:30', '2026-06-01 12:10:31')).toBe('SEMANTIC_MISMATCH values 1')
  })

  test('now() + 30 days, where the default says so', () => {
    const known = knowledge(columns)
    const timed = {
      ...known,
      columns: known.columns.map((nature, i) => (i === 1 ? { ...nature, chance: 'time' as const } : nature)),
    }
    const say = (before: string, after: string) =>
      words(judge(outcome(columns, one(before)), outcome(columns, one(after)), timed, context()))
    expect(say('2026-07-01 12:00:30.1+00', '2026-07-01 12:10:30.9+00')).toBe('excused: volatile')
    expect(say('2026-07-01 12:00:30.1+00', '2026-07-01 13:00:30.1+00')).toBe('SEMANTIC_MISMATCH values 1')
  })

  test('inside JSON', () => {
    const doc = [id, column('doc', 3802)]
    const say = (before: string, after: string) =>
      words(judge(outcome(doc, one(before)), outcome(doc, one(after)), knowledge(doc), context()))
    expect(say('{"a": 1, "at": "2026-06-01T12:00:30+00:00"}', '{"a": 1, "at": "2026-06-01T12:10:30+00:00"}')).toBe(
      'excused: volatile',
    )
    expect(say('{"a": 1, "at": "2026-06-01T12:00:30+00:00"}', '{"a": 2, "at": "2026-06-01T12:10:30+00:00"}')).toBe(
      'SEMANTIC_MISMATCH values 1',
    )
  })
})

describe('other excuses', () => {
  const withNature = (more: object) => {
    const known = knowledge(users)
    return { ...known, columns: known.columns.map((nature, i) => (i === 1 ? { ...nature, ...more } : nature)) }
  }
  const other = ROWS.map(([key, value]) => [key!, `${value}!`])
  test('a column on the ignore list', () =>
    expect(words(judge(outcome(users, ROWS), outcome(users, other), withNature({ free: 'ignored' }), context()))).toBe(
      'excused: ignored',
    ))
  test('chance in the filter', () =>
    expect(
      words(
        judge(outcome(users, ROWS), outcome(users, ROWS.slice(1)), knowledge(users, { chancyRows: true }), context()),
      ),
    ).toBe('excused: volatile'))
  test('chance in the filter does not excuse a value', () =>
    expect(
      words(judge(outcome(users, ROWS), outcome(users, other), knowledge(users, { chancyRows: true }), context())),
    ).toBe('SEMANTIC_MISMATCH values 1'))
  test('a tolerance', () => {
    const price = [id, column('price', 1700)]
    const known = knowledge(price)
    const natures = known.columns.map((nature) => ({ ...nature, tolerance: { kind: 'number' as const, by: 0.01 } }))
    const say = (after: string) =>
      words(
        judge(
          outcome(price, [['1', '9.99']]),
          outcome(price, [['1', after]]),
          { ...known, columns: natures },
          context(),
        ),
      )
    expect(say('9.98')).toBe('excused: tolerance')
    expect(say('9.90')).toBe('SEMANTIC_MISMATCH values 1')
  })
  test('a computed float in its last digits; a stored one counts', () => {
    const sum = [column('sum', 701)]
    const say = (table: string) =>
      words(
        judge(
          outcome(sum, [['0.3']]),
          outcome(sum, [['0.30000000000000004']]),
          knowledge(sum, { columns: [{ ...plainColumn('sum'), table }] }),
          context(),
        ),
      )
    expect(say('')).toBe('excused: rounding')
    expect(say('t')).toBe('SEMANTIC_MISMATCH values 0')
  })
  test('rows that chance picks, also where they look alike', () => {
    const known = knowledge(users, { chancyRows: true })
    const say = (before: readonly string[][], after: readonly string[][]) =>
      words(judge(outcome(users, before), outcome(users, after), known, context()))
    expect(say([['1', 'Ann']], [['2', 'Ann']])).toBe('excused: volatile')
    expect(say([['1', 'Ann']], [['1', 'Bo']])).toBe('SEMANTIC_MISMATCH values 1')
  })
  test('generated values must stand for each other throughout', () => {
    const owns = { domain: 'u.id', teaches: true }
    const shared = context()
    const say = (before: string, after: string, more: object) =>
      words(judge(outcome(users, [['1', before]]), outcome(users, [['1', after]]), withNature(more), shared))
    expect(say('a1', 'b1', owns)).toBe('excused: generated')
    expect(say('a1', 'b1', { domain: 'u.id' })).toBe('excused: generated')
    expect(say('a1', 'b2', { domain: 'u.id' })).toBe('SEMANTIC_MISMATCH values 1')
    expect(say('a2', 'b1', owns)).toBe('SEMANTIC_MISMATCH values 1')
    expect(say('a3', 'b3', { domain: 'u.id' })).toBe('SEMANTIC_MISMATCH values 1')
  })
  test('of a row that may have been there already, only numbers that the sequence had not reached', () => {
    const upserts = { domain: 'u.id', teaches: true, position: { next: 100, increment: 1 } }
    const say = (before: string, after: string) =>
      words(judge(outcome(users, [['1', before]]), outcome(users, [['1', after]]), withNature(upserts), context()))
    expect(say('100', '101')).toBe('excused: generated')
    expect(say('99', '101')).toBe('SEMANTIC_MISMATCH values 1')
    expect(say('101', '99')).toBe('SEMANTIC_MISMATCH values 1')
  })
  describe('a generated key that is shown alone', () => {
    const owns = { domain: 't.id', teaches: true, renamed: true, key: true, table: 't' }
    const known = knowledge([name], { columns: [{ ...plainColumn('id'), ...owns }] })
    const say = (before: readonly string[], after: readonly string[], shared = context()) => {
      const rows = (values: readonly string[]) =>
        outcome(
          [name],
          values.map((value) => [value]),
        )
      return words(judge(rows(before), rows(after), known, shared))
    }
    test('is the same row, whatever either run drew', () => expect(say(['a1'], ['b1'])).toBe('excused: generated'))
    test('is another row once it is known whose it is', () => {
      const shared = context()
      expect(say(['a1'], ['b1'], shared)).toBe('excused: generated')
      expect(say(['a2'], ['b2'], shared)).toBe('excused: generated')
      expect(say(['a2', 'a1'], ['b1', 'b2'], shared)).toContain('excused')
      expect(say(['a1'], ['b2'], shared)).toBe('SEMANTIC_MISMATCH rows_missing')
      expect(say(['a3'], ['b2'], shared)).toBe('SEMANTIC_MISMATCH rows_missing')
    })
  })
  test('an aggregate that saw its rows in another order', () =>
    expect(
      words(
        judge(
          outcome([name], [['a,b']]),
          outcome([name], [['b,a']]),
          knowledge([name], { columns: [{ ...plainColumn('name'), inputOrder: true }] }),
          context(),
        ),
      ),
    ).toBe('excused: order'))
})

describe('more rows than are kept', () => {
  const many = Array.from({ length: 50 }, (_, at) => [String(at), `name ${at}`])
  const known = knowledge(users)
  test('a difference beyond them is found by digest, with its column', () => {
    const after = many.map((row, at) => (at === 40 ? ['40', 'other'] : row))
    expect(words(judge(outcome(users, many, 5), outcome(users, after, 5), known, context()))).toBe(
      'SEMANTIC_MISMATCH values 1',
    )
  })
  test('values in other combinations beyond them', () => {
    const after = many.map((row, at) => (at === 40 ? ['40', 'name 41'] : at === 41 ? ['41', 'name 40'] : row))
    expect(words(judge(outcome(users, many, 5), outcome(users, after, 5), known, context()))).toBe(
      'SEMANTIC_MISMATCH values 1',
    )
  })
  test('another order beyond them is excused by digest', () =>
    expect(words(judge(outcome(users, many, 5), outcome(users, [...many].reverse(), 5), known, context()))).toBe(
      'excused: order',
    ))
  test('rows beyond them are missing', () =>
    expect(words(judge(outcome(users, many, 5), outcome(users, many.slice(0, 40), 5), known, context()))).toBe(
      'SEMANTIC_MISMATCH rows_missing',
    ))
})
