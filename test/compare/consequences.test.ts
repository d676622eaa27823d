import { describe, expect, test } from 'vitest'
import { consequences, type Suspect } from '../../replayer/compare/consequences.js'

const set = (...names: string[]): ReadonlySet<string> => new Set(names)

function suspect(id: string, more: Partial<Suspect>): Suspect {
  return {
    id,
    mismatch: 'SEMANTIC_MISMATCH',
    subKind: 'values',
    explainer: 'unexplained',
    subject: '',
    relievedBy: '',
    detail: null,
    madeOf: set(),
    fingerprints: set(),
    telling: false,
    refused: false,
    conditions: [],
    agreeing: [],
    shown: set(),
    tainted: 0,
    columns: [],
    tables: set('orders'),
    columnNames: set(),
    reach: set(),
    firstSeq: 10,
    count: 5,
    ...more,
  }
}

const cut = suspect('cut', { explainer: 'text.cut', telling: true, columns: ['orders.gateway'] })
const refusal = suspect('refusal', {
  subKind: 'error_new',
  explainer: 'error.not_null',
  reach: set('orders', 'jobs'),
  firstSeq: 5,
})
const missing = suspect('missing', {
  subKind: 'rows_missing',
  explainer: 'rows.missing',
  telling: true,
  conditions: ["status = 'closed'"],
  shown: set('orders.status', 'orders.currency'),
  count: 50,
})
/** What is a reason agrees with itself. */
const of = (...findings: Suspect[]) =>
  Object.fromEntries(consequences(findings.map((one) => ({ ...one, agreeing: [...one.agreeing, ...one.conditions] }))))

describe('what follows from another finding', () => {
  test('the same column, where another statement cannot say why', () =>
    expect(of(cut, suspect('vague', { columns: ['orders.gateway'] }))).toEqual({ vague: 'cut' }))
  test('a statement that filters or computes by the column', () =>
    expect(of(cut, suspect('count', { columns: ['count'], columnNames: set('gateway') }))).toEqual({ count: 'cut' }))
  test('rows that an earlier refused transaction meant to write', () =>
    expect(
      of(refusal, suspect('late', { subKind: 'rows_missing', explainer: 'rows.missing', tables: set('jobs') })),
    ).toEqual({ late: 'refusal' }))
  test('such rows, whatever they have in common', () =>
    expect(of(refusal, { ...missing, tainted: 40 })).toEqual({ missing: 'refusal' }))
  test('a foreign key that misses a row which was refused', () =>
    expect(
      of(refusal, suspect('child', { subKind: 'error_new', explainer: 'error.foreign_key', tables: set('jobs') })),
    ).toEqual({ child: 'refusal' }))
  test('a count of rows that are missing', () =>
    expect(of(missing, suspect('count', { columns: ['count'], explainer: 'number.off_by_one' }))).toEqual({
      count: 'missing',
    }))
  test('the same rows, missing from a join', () =>
    expect(of(missing, suspect('join', { ...missing, id: 'join', tables: set('orders', 'users'), count: 3 }))).toEqual({
      join: 'missing',
    }))
  test('a constraint that had nothing to refuse, but is still there', () =>
    expect(
      of(refusal, suspect('idle', { subKind: 'error_vanished', explainer: 'constraint.lost', refused: true })),
    ).toEqual({ idle: 'refusal' }))
  test('the same rows, where the column that they have in common is not shown', () => {
    const elsewhere = { ...missing, id: 'elsewhere', conditions: ["currency = 'EUR'"], count: 3 }
    expect(of(missing, { ...elsewhere, shown: set('orders.currency') })).toEqual({ elsewhere: 'missing' })
    // Here it is shown, and is not what they share: another reason.
    expect(of(missing, { ...elsewhere, shown: set('orders.currency', 'orders.status') })).toEqual({})
  })
  test('also where they are rows of broken transactions, and no error came before', () => {
    const elsewhere = { ...missing, id: 'elsewhere', conditions: ["currency = 'EUR'"], shown: set('orders.currency') }
    expect(of(missing, { ...elsewhere, count: 3, tainted: 3 })).toEqual({ elsewhere: 'missing' })
  })
  test.each([refusal, { ...missing, firstSeq: 5 }])('a reference that is another since $id', (root) => {
    const reference = { explainer: 'reference.other', telling: true, columns: ['orders.customer_id'] }
    expect(of(root, suspect('late', reference))).toEqual({ late: root.id })
    expect(of(root, suspect('before', { ...reference, firstSeq: 1 }))).toEqual({})
    expect(of(root, suspect('elsewhere', { ...reference, tables: set('users') }))).toEqual({})
  })
  test('a constraint that refuses for want of rows that are missing', () => {
    const refuses = { subKind: 'error_new' as const, explainer: 'error.foreign_key' }
    expect(of({ ...missing, firstSeq: 5 }, suspect('later', refuses))).toEqual({ later: 'missing' })
    expect(of({ ...missing, firstSeq: 50 }, suspect('earlier', refuses))).toEqual({})
  })
  test('a lock that was not met, since the one who held it was refused', () => {
    const unmet = { subKind: 'error_vanished' as const, explainer: 'error.timing' }
    expect(of(refusal, suspect('unmet', unmet))).toEqual({ unmet: 'refusal' })
    expect(of(suspect('unmet', { ...unmet, firstSeq: 1, reach: set('orders') }), suspect('vague', {}))).toEqual({})
  })
  test('in a chain: from the first', () =>
    expect(
      of(
        refusal,
        suspect('child', { subKind: 'error_new', explainer: 'error.foreign_key', reach: set('items'), firstSeq: 7 }),
        suspect('count', { tables: set('items'), columns: ['count'] }),
      ),
    ).toEqual({ child: 'refusal', count: 'refusal' }))
})

describe('what follows from locks, labels and wrong references', () => {
  const lock = suspect('lock', {
    mismatch: 'LATENCY_SPIKE',
    subKind: 'latency',
    explainer: 'lock.table',
    fingerprints: set('a'),
  })
  test('deadlocks, and statements that are slow since they wait', () => {
    const slow = suspect('slow', { mismatch: 'LATENCY_SPIKE', subKind: 'latency', fingerprints: set('a', 'b') })
    const other = suspect('other', { mismatch: 'LATENCY_SPIKE', subKind: 'latency', fingerprints: set('c') })
    const dead = suspect('dead', { subKind: 'error_new', explainer: 'error.deadlock', firstSeq: 3 })
    const rest = suspect('rest', { subKind: 'error_new', subject: '25P02  ', tables: set('x'), firstSeq: 4 })
    expect(of(lock, slow, other, dead, rest)).toEqual({ slow: 'lock', dead: 'lock', rest: 'lock' })
  })
  test('what transactions meant to write that a lock broke, also where their errors are excused', () => {
    const broke = { ...lock, reach: set('counters'), firstSeq: 3 }
    const count = { tables: set('counters'), columns: ['counters.value'], explainer: 'number.off_by_one' }
    expect(of(broke, suspect('late', count))).toEqual({ late: 'lock' })
    expect(of(broke, suspect('early', { ...count, firstSeq: 2 }))).toEqual({})
    expect(of(broke, suspect('elsewhere', { ...count, tables: set('users') }))).toEqual({})
    expect(of(lock, suspect('unbroken', count))).toEqual({})
  })
  test('a deadlock in place of another error', () =>
    expect(of(lock, suspect('dead', { subKind: 'error_changed', explainer: 'error.deadlock' }))).toEqual({
      dead: 'lock',
    }))
  test('a word in place of the label that an enum has lost', () => {
    const enumLabel = suspect('enum', {
      subKind: 'error_new',
      explainer: 'error.enum_label',
      subject: '22P02 state shipped',
    })
    const replaced = { explainer: 'value.replaced', telling: true, columns: ['orders.state'] }
    expect(of(enumLabel, suspect('word', { ...replaced, detail: 'sent where it was shipped' }))).toEqual({
      word: 'enum',
    })
    expect(of(enumLabel, suspect('word', { ...replaced, detail: 'sent where it was paid' }))).toEqual({})
  })
  test('rows that have the wrong reference in common follow from it, also where they came up first', () => {
    const reference = suspect('reference', {
      explainer: 'reference.other',
      telling: true,
      columns: ['orders.customer_id'],
    })
    const rows = suspect('rows', {
      subKind: 'rows_extra',
      explainer: 'rows.extra',
      telling: true,
      conditions: ["customer_id = '15'"],
      shown: set('orders.customer_id'),
      firstSeq: 1,
      count: 50,
    })
    expect(of(reference, rows)).toEqual({ rows: 'reference' })
  })
  test('what a computed column shows of the same, rows that a write did not find, and a duplicate that was not in the way', () => {
    const sign = suspect('sign', {
      explainer: 'number.sign',
      telling: true,
      columns: ['lines.net'],
      madeOf: set('lines.net'),
    })
    const sum = suspect('sum', {
      explainer: 'number.sign',
      telling: true,
      columns: ['totals.net'],
      madeOf: set('lines.net'),
    })
    expect(of(sign, sum)).toEqual({ sum: 'sign' })
    const fewer = suspect('fewer', { subKind: 'row_count', reach: set('orders', 'events'), firstSeq: 2 })
    const unsaid = suspect('unsaid', { subKind: 'rows_missing', explainer: 'rows.missing', tables: set('events') })
    expect(of(fewer, unsaid)).toEqual({ unsaid: 'fewer' })
    const double = { subKind: 'error_vanished', explainer: 'constraint.lost', subject: '23505  key' }
    expect(of(refusal, suspect('double', { ...double, tainted: 5 }))).toEqual({ double: 'refusal' })
    expect(of(refusal, suspect('double', double))).toEqual({})
    const removed = { subKind: 'error_vanished', explainer: 'constraint.lost', tables: set('users') }
    expect(of(refusal, suspect('removed', { ...removed, relievedBy: 'jobs' }))).toEqual({ removed: 'refusal' })
    expect(of(refusal, suspect('removed', removed))).toEqual({})
    const cascade = suspect('cascade', { ...removed, relievedBy: 'payments', firstSeq: 1 })
    const gone = {
      subKind: 'rows_missing' as const,
      explainer: 'rows.missing',
      telling: true,
      conditions: ["state = 'paid'"],
    }
    expect(of(cascade, suspect('gone', { ...gone, tables: set('payments'), count: 2 }))).toEqual({ gone: 'cascade' })
  })
})

test('slower look-ups by one column take those by more with them', () => {
  const slow = (id: string, ...columns: string[]) =>
    suspect(id, { mismatch: 'LATENCY_SPIKE', subKind: 'latency', columns })
  expect(
    of(
      slow('both', 'orders.customer_id', 'orders.status'),
      slow('one', 'orders.customer_id'),
      slow('other', 'users.email'),
    ),
  ).toEqual({ both: 'one' })
})

describe('what stands for itself', () => {
  test.each([
    {
      name: 'a finding that names its cause',
      one: suspect('other', { explainer: 'moment.zone', telling: true, columns: ['orders.at'] }),
      beside: [cut, refusal, missing],
    },
    { name: 'rows with something in common, which nobody meant to write', one: missing, beside: [refusal] },
    {
      name: 'another table',
      one: suspect('other', { tables: set('users'), columns: ['count'] }),
      beside: [cut, refusal, missing],
    },
    {
      name: 'what came before the error',
      one: suspect('early', { firstSeq: 2, columns: ['count'] }),
      beside: [refusal],
    },
    {
      name: 'a lost constraint',
      one: suspect('lost', { subKind: 'error_vanished', explainer: 'constraint.lost' }),
      beside: [refusal],
    },
    {
      name: 'latency',
      one: suspect('slow', { mismatch: 'LATENCY_SPIKE', subKind: 'latency' }),
      beside: [cut, refusal, missing],
    },
    { name: 'the only finding', one: suspect('alone', {}), beside: [] },
  ])('$name', ({ one, beside }) => expect(of(...beside, one)).not.toHaveProperty(one.id))
})

/** Each rule: what it folds, and as near to it as can be, what it leaves alone. `but` changes the finding or the one it would follow from. */
type Rule = {
  readonly rule: string
  readonly root: Partial<Suspect>
  readonly one: Partial<Suspect>
  readonly but: Readonly<Record<string, { readonly root?: Partial<Suspect>; readonly one?: Partial<Suspect> }>>
}

const ERROR = { subKind: 'error_new', explainer: 'error.not_null', reach: set('orders'), firstSeq: 5 } as const
const CUT = { explainer: 'text.cut', telling: true, columns: ['orders.gateway'] } as const
const MISSING = { subKind: 'rows_missing', explainer: 'rows.missing', telling: true, count: 50 } as const
const CLOSED = { conditions: ["status = 'closed'"], shown: set('orders.status') } as const
const SLOW = { mismatch: 'LATENCY_SPIKE', subKind: 'latency' } as const
const TABLE_LOCK = {
  ...SLOW,
  explainer: 'lock.table',
  reach: set('orders'),
  firstSeq: 5,
  fingerprints: set('a'),
} as const
const ORDER = { subKind: 'order', explainer: 'order.collation', telling: true, columns: ['orders.name'] } as const

describe('every rule, and what is next to it', () => {
  test.each<Rule>([
    {
      rule: 'about the column of a cause',
      root: CUT,
      one: { columns: ['orders.gateway'] },
      but: {
        'another column': { one: { columns: ['orders.currency'] } },
        'a cause of its own': { one: { explainer: 'text.case', telling: true } },
      },
    },
    {
      rule: 'it filters, joins or computes by the column of a cause',
      root: CUT,
      one: { columns: ['count'], columnNames: set('gateway') },
      but: {
        'it does not name the column': { one: { columnNames: set('currency') } },
        'a column of that name in another table': { one: { tables: set('users') } },
      },
    },
    {
      rule: 'other rows, where the order of a column by which they are chosen is another',
      root: ORDER,
      one: { subKind: 'rows_missing', explainer: 'rows.other', columnNames: set('name') },
      but: { 'values do not differ for an order': { one: { subKind: 'values', explainer: 'unexplained' } } },
    },
    {
      rule: 'after an error that reached its tables',
      root: ERROR,
      one: { columns: ['count'] },
      but: {
        'before it': { one: { firstSeq: 4 } },
        'tables that the failed transactions did not mean to write': { root: { reach: set('users') } },
        'an error that the second side still raises elsewhere': { root: { subKind: 'error_vanished', refused: true } },
      },
    },
    {
      rule: 'after a lock that broke transactions, also where their own errors are excused',
      root: TABLE_LOCK,
      one: { subKind: 'error_new', explainer: 'error.foreign_key', telling: true },
      but: {
        'before it': { one: { firstSeq: 4 } },
        'a lock that broke none': { root: { firstSeq: Infinity } },
        'tables that those did not mean to write': { root: { reach: set('users') } },
        'an error that no missing row brings about': { one: { explainer: 'error.column' } },
        'slow for another reason': { root: { explainer: 'unexplained' } },
      },
    },
    {
      rule: 'an error for want of rows that an earlier error refused',
      root: ERROR,
      one: { subKind: 'error_new', explainer: 'error.foreign_key', telling: true },
      but: {
        'before it': { one: { firstSeq: 4 } },
        'another table': { one: { tables: set('users') } },
        'an error that no missing row brings about': { one: { explainer: 'error.column' } },
      },
    },
    {
      rule: 'refused since the transaction had failed before',
      root: { ...ERROR, explainer: 'error.function' },
      one: { subKind: 'error_new', subject: '25P02  ', tables: set('elsewhere') },
      but: {
        'before it': { one: { firstSeq: 4 } },
        'another error': { one: { subject: '42703  ', explainer: 'error.column' } },
      },
    },
    {
      rule: 'a count over tables of which rows are missing',
      root: MISSING,
      one: { columns: ['count'], explainer: 'number.off_by_one' },
      but: { 'other tables': { one: { tables: set('users') } } },
    },
    {
      rule: 'an error for want of rows that are missing',
      root: { ...MISSING, firstSeq: 5 },
      one: { subKind: 'error_new', explainer: 'error.foreign_key', telling: true },
      but: { 'before they were': { root: { firstSeq: 50 } }, 'other tables': { one: { tables: set('users') } } },
    },
    {
      rule: 'rows of one condition',
      root: { ...MISSING, ...CLOSED },
      one: { ...MISSING, ...CLOSED, count: 3 },
      but: {
        'another one': { one: { conditions: ["status = 'open'"] } },
        'of other tables': { one: { tables: set('users') } },
        'extra, not missing': { one: { subKind: 'rows_extra', explainer: 'rows.extra' } },
      },
    },
    {
      rule: 'rows that agree with a condition, though they are too few for it to be theirs',
      root: { ...MISSING, ...CLOSED },
      one: {
        ...MISSING,
        conditions: ["currency = 'EUR'"],
        shown: set('orders.currency', 'orders.status'),
        agreeing: ["status = 'closed'"],
        count: 3,
      },
      but: { 'they do not agree': { one: { agreeing: ["status = 'open'"] } } },
    },
    {
      rule: 'rows that have in common what happened to a column',
      root: { explainer: 'reference.other', telling: true, columns: ['orders.status'] },
      one: { ...MISSING, ...CLOSED, firstSeq: 1 },
      but: { 'another column': { root: { columns: ['orders.currency'] } } },
    },
    {
      rule: 'rows repeated once more',
      root: { subKind: 'rows_extra', explainer: 'rows.repeated', telling: true, subject: 'orders', count: 9 },
      one: { subKind: 'rows_extra', explainer: 'rows.repeated', telling: true, subject: 'orders', count: 2 },
      but: { 'of other tables': { one: { subject: 'users', tables: set('users') } } },
    },
    {
      rule: 'a reference that is another since an error',
      root: ERROR,
      one: { explainer: 'reference.other', telling: true, columns: ['orders.customer_id'] },
      but: {
        'before it': { one: { firstSeq: 4 } },
        'of another table': { one: { tables: set('users') } },
      },
    },
    {
      rule: 'the same of a column that is computed from the other',
      root: { explainer: 'number.sign', telling: true, columns: ['lines.net'], madeOf: set('lines.net') },
      one: { explainer: 'number.sign', telling: true, columns: ['totals.net'], madeOf: set('lines.net') },
      but: {
        'something else of it': { one: { explainer: 'number.rounded' } },
        'made of another column': { one: { madeOf: set('lines.debit') } },
      },
    },
    {
      rule: 'rows no more frequent than the error before them',
      root: { ...ERROR, count: 5 },
      one: { ...MISSING, ...CLOSED, count: 5 },
      but: {
        'more frequent': { one: { count: 6 } },
        'before it': { one: { firstSeq: 4 } },
        'of other tables': { one: { tables: set('users') } },
      },
    },
    {
      rule: 'words in place of others, no more frequent than the error before them',
      root: { ...ERROR, count: 5 },
      one: { explainer: 'value.replaced', telling: true, columns: ['orders.status'], count: 5 },
      but: {
        'more frequent': { one: { count: 6 } },
        'before it': { one: { firstSeq: 4 } },
        'of other tables': { one: { tables: set('users') } },
        'a cause that says more': { one: { explainer: 'text.cut' } },
      },
    },
    {
      rule: 'rows of transactions that an error broke',
      root: ERROR,
      one: { ...MISSING, ...CLOSED, tainted: 25 },
      but: { 'most are not': { one: { tainted: 24 } }, 'before it': { one: { firstSeq: 4, tainted: 50 } } },
    },
    {
      rule: 'rows that a write which found fewer would have written',
      root: { subKind: 'row_count', reach: set('orders', 'events'), firstSeq: 2 },
      one: { subKind: 'rows_missing', explainer: 'rows.missing', tables: set('events') },
      but: {
        'before it': { one: { firstSeq: 1 } },
        'it does not write there': { root: { reach: set('orders') } },
      },
    },
    {
      rule: 'a duplicate that was refused itself is not in the way',
      root: ERROR,
      one: { subKind: 'error_vanished', explainer: 'constraint.lost', subject: '23505  key', tainted: 5 },
      but: { 'rows that nobody refused': { one: { tainted: 2 } } },
    },
    {
      rule: 'a row that was pointed at by rows which an error refused may go',
      root: { ...ERROR, reach: set('public.payments') },
      one: { subKind: 'error_vanished', explainer: 'constraint.lost', relievedBy: 'payments' },
      but: {
        'nobody pointed at it': { one: { relievedBy: '' } },
        'by rows of another table': { one: { relievedBy: 'jobs' } },
        'before it': { one: { firstSeq: 4 } },
      },
    },
    {
      rule: 'duplicates are accepted where ON CONFLICT has lost its constraint',
      root: { subKind: 'error_new', explainer: 'error.conflict_target', telling: true, firstSeq: 50 },
      one: { subKind: 'error_vanished', explainer: 'constraint.lost', subject: '23505  key' },
      but: {
        'of another table': { one: { tables: set('users') } },
        'not duplicates': { one: { subject: '23503  key' } },
      },
    },
    {
      rule: 'the same complaint in place of another error',
      root: { ...ERROR, firstSeq: 50 },
      one: { subKind: 'error_changed', explainer: 'error.not_null', telling: true },
      but: {
        'another complaint': { one: { explainer: 'error.check' } },
        'of another table': { one: { tables: set('users') } },
      },
    },
    {
      rule: 'a value that fits, since its column has another type',
      root: { explainer: 'number.float', telling: true, columns: ['orders.weight'], firstSeq: 50 },
      one: { subKind: 'error_vanished', explainer: 'error.data', columnNames: set('weight') },
      but: {
        'a statement that does not use it': { one: { columnNames: set('status') } },
        'a constraint that is lost': { one: { explainer: 'constraint.lost' } },
      },
    },
    {
      rule: 'a lock that was not met, since who held it was refused',
      root: ERROR,
      one: { subKind: 'error_vanished', explainer: 'error.timing' },
      but: { 'before that': { one: { firstSeq: 4 } }, 'other tables': { one: { tables: set('users') } } },
    },
    {
      rule: 'a word in place of the label that an enum has lost',
      root: { subKind: 'error_new', explainer: 'error.enum_label', subject: '22P02 state shipped', firstSeq: 50 },
      one: {
        explainer: 'value.replaced',
        telling: true,
        columns: ['orders.state'],
        detail: 'sent where it was shipped',
      },
      but: { 'another label': { one: { detail: 'sent where it was paid' } } },
    },
    {
      rule: 'the order of one column, in another result',
      root: { ...ORDER, count: 9 },
      one: { ...ORDER, explainer: 'order.limit', count: 2 },
      but: { 'of another column': { one: { columns: ['orders.city'] } } },
    },
    {
      rule: 'slow since it waits for a lock on a table',
      root: TABLE_LOCK,
      one: { ...SLOW, fingerprints: set('a', 'b') },
      but: { 'a kind of statement that does not wait': { one: { fingerprints: set('c') } } },
    },
    {
      rule: 'an error of locks, beside a lock on a table',
      root: { ...TABLE_LOCK, reach: set(), firstSeq: Infinity },
      one: { subKind: 'error_new', explainer: 'error.deadlock', telling: true, tables: set('elsewhere') },
      but: { 'another error': { one: { explainer: 'error.column' } } },
    },
    {
      rule: 'slow by a column and others, beside slow by that column',
      root: { ...SLOW, columns: ['orders.customer_id'] },
      one: { ...SLOW, columns: ['orders.customer_id', 'orders.status'] },
      but: { 'by other columns': { one: { columns: ['orders.tenant_id', 'orders.status'] } } },
    },
  ])('$rule', ({ rule, root, one, but }) => {
    const folds = (change: { readonly root?: Partial<Suspect>; readonly one?: Partial<Suspect> } = {}) =>
      of(suspect('root', { ...root, ...change.root }), suspect('one', { ...one, ...change.one }))
    expect([rule, folds()]).toEqual([rule, { one: 'root' }])
    for (const [why, change] of Object.entries(but))
      expect([rule, why, 'one' in folds(change)]).toEqual([rule, why, false])
  })
})
