/** What masking could not keep, against production: excused where the recording says so, and nowhere else. */
import { describe, expect, test } from 'vitest'
import { difference } from '../../replayer/compare/judgement.js'
import type { Knowledge } from '../../replayer/compare/knowledge.js'
import { MaskedTrail } from '../../replayer/compare/masked.js'
import type { MaskingCaution } from '../../segment/masking.js'
import { knowledge } from './examples.js'

type Affects = MaskingCaution['affects']

const statement = (...affects: Affects[]) => ({
  masking: {
    unresolved: [],
    cautions: affects.map((one) => ({ name: 'public.users.name', kind: 'full_name', use: 'pattern', affects: one })),
  },
})
const ROWS: Affects = { what: 'rows' }
const ORDER: Affects = { what: 'order' }
const SECOND: Affects = { what: 'result', at: 1 }
const NICK: Affects = { what: 'stored', column: 'public.users.nick' }
const PLAIN = { masking: undefined }

const values = difference('SEMANTIC_MISMATCH', 'values')
const rows = difference('SEMANTIC_MISMATCH', 'row_count')
const order = difference('SEMANTIC_MISMATCH', 'order')
const columns = difference('SEMANTIC_MISMATCH', 'column_set')
const error = difference('SQL_ERROR', 'error_new')
const about = (...tables: string[]): Knowledge => knowledge([], { tables })

const trail = () => new MaskedTrail(['public'])

describe('a statement that compares, sorts or computes what is masked', () => {
  test.each([
    { name: 'other rows qualify', affects: [ROWS], differences: [rows], error: '', excused: true },
    {
      name: 'other rows qualify, so another error comes',
      affects: [ROWS],
      differences: [error],
      error: '21000',
      excused: true,
    },
    { name: 'another order', affects: [ORDER], differences: [order], error: '', excused: true },
    {
      name: 'another order does not explain other values',
      affects: [ORDER],
      differences: [order, values],
      error: '',
      excused: false,
    },
    {
      name: 'a token is too long for what is computed of it',
      affects: [NICK],
      differences: [error],
      error: '22001',
      excused: true,
    },
    {
      name: 'a token breaks a constraint of where it is stored',
      affects: [NICK],
      differences: [error],
      error: '23514',
      excused: true,
    },
    {
      name: 'a part of a token cannot be cast',
      affects: [SECOND],
      differences: [error],
      error: '22P02',
      excused: true,
    },
    { name: 'a lock is nobody’s value', affects: [NICK], differences: [error], error: '55P03', excused: false },
    {
      name: 'a column of the result excuses no row',
      affects: [SECOND],
      differences: [rows],
      error: '',
      excused: false,
    },
    { name: 'no value makes a table disappear', affects: [ROWS], differences: [error], error: '42P01', excused: false },
    { name: 'nor a column', affects: [ROWS], differences: [columns], error: '', excused: false },
    { name: 'nor a feature', affects: [ROWS], differences: [error], error: '0A000', excused: false },
    { name: 'nothing is said, nothing is excused', affects: [], differences: [rows], error: '', excused: false },
  ])('$name', ({ affects, differences, error: sqlstate, excused }) => {
    expect(trail().excuses(statement(...affects), differences, sqlstate, about('users'))).toBe(excused)
    expect(trail().excuses(PLAIN, differences, sqlstate, about('users'))).toBe(false)
  })

  test('hides the column that is computed, and no other', () => {
    const masked = trail()
    expect([0, 1, 2].map((at) => masked.hides(statement(SECOND), at, []))).toEqual([false, true, false])
    expect(masked.hides(PLAIN, 1, ['users.name'])).toBe(false)
  })
})

describe('the trail that such a statement leaves', () => {
  test('what was computed of tokens and stored differs in that column from then on', () => {
    const masked = trail()
    masked.sent(statement(NICK), () => ['users'])
    expect(masked.hides(PLAIN, 0, ['users.nick'])).toBe(true)
    expect(masked.hides(PLAIN, 0, ['users.name'])).toBe(false)
    expect(masked.excuses(PLAIN, [rows], '', about('users'))).toBe(false)
  })
  test('a column outside of the search path keeps its schema', () => {
    const masked = trail()
    masked.sent(statement({ what: 'stored', column: 'audit.users.nick' }), () => [])
    expect(masked.hides(PLAIN, 0, ['audit.users.nick'])).toBe(true)
    expect(masked.hides(PLAIN, 0, ['users.nick'])).toBe(false)
  })
  test('other rows were changed: what reads those tables is excused, what reads others is not', () => {
    const masked = trail()
    masked.sent(statement(ROWS), () => ['users', 'log'])
    expect(masked.excuses(PLAIN, [rows], '', about('log'))).toBe(true)
    expect(masked.excuses(PLAIN, [rows], '', about('orders'))).toBe(false)
    expect(masked.excuses(PLAIN, [error], '42703', about('log'))).toBe(false)
    expect(masked.excuses(PLAIN, [rows], '', null)).toBe(false)
  })
  test('a statement that only reads leaves none', () => {
    const masked = trail()
    masked.sent(statement(ROWS, ORDER, SECOND), () => [])
    expect(masked.excuses(PLAIN, [rows], '', about('users'))).toBe(false)
  })
})
