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
