/** The pure parts of the engine: what goes over the wire, how statements become jobs, and how they are accounted for. */
import { describe, expect, test } from 'vitest'
import { AnswerReader } from '../../replayer/run/answers.js'
import { balance } from '../../replayer/run/balance.js'
import { encode, type Sendable } from '../../replayer/run/encode.js'
import { Feed, positionsOf } from '../../replayer/run/feed.js'
import { createJob, type Job, type Script } from '../../replayer/run/job.js'
import type { Plan } from '../../replayer/run/plan-shape.js'
import { leavesState } from '../../replayer/run/session-state.js'
import { ledgerOf, Tally } from '../../replayer/run/tally.js'
import { SYSTEM_TYPES } from '../../segment/known-types.js'
import { balances, imbalance } from '../../segment/ledger.js'
import type { Frame, SafeSql } from '../../segment/statement.js'
import { buildBindRest } from '../../wire/bind.js'
import { Framer } from '../../wire/framer.js'

/** Types of the messages in a buffer. */
function types(bytes: Buffer): string {
  let seen = ''
  const framer = new Framer({
    message: (type) => {
      seen += String.fromCharCode(type)
    },
    part() {},
    malformed() {
      seen += '!'
    },
  })
  framer.push(bytes)
  return framer.atBoundary ? seen : `${seen}…`
}

const sendable = (frames: Frame[], more: Partial<Sendable> = {}): Sendable => ({
  frames,
  sql: 'SELECT $1' as SafeSql,
  bind: null,
  copy: null,
  ...more,
})

describe('messages', () => {
  const bind = buildBindRest(['a value'])
  const all: Frame[] = [
    ['C', 'S', 'old'],
    ['P', 's', [25]],
    ['D', 'S', 's'],
    ['B', 'p', 's'],
    ['D', 'P', 'p'],
    ['E', 'p', 5],
    ['C', 'P', 'p'],
    ['S'],
  ]

  test.each([
    { name: 'a simple query', statement: sendable([['Q']]), sent: 'Q' },
    { name: 'everything an exchange can hold', statement: sendable(all, { bind }), sent: 'CPDBDECS' },
    {
      name: 'an execution of a named statement',
      statement: sendable([['B', '', 's'], ['E', '', 0], ['S']], { bind }),
      sent: 'BES',
    },
    {
      name: 'without a Sync',
      statement: sendable(
        [
          ['P', '', []],
          ['B', '', ''],
          ['E', '', 0],
        ],
        { bind },
      ),
      sent: 'PBE',
    },
    { name: 'with a Flush', statement: sendable([['P', 's', []], ['H']]), sent: 'PH' },
    {
      name: 'COPY data in one piece',
      statement: sendable([['P', '', []], ['B', '', ''], ['E', '', 0], ['d'], ['d'], ['c'], ['S']], {
        bind: buildBindRest([]),
        copy: Buffer.from('x\n'),
      }),
      sent: 'PBEdcS',
    },
    { name: 'a lone Sync', statement: sendable([['S']]), sent: 'S' },
  ])('$name', ({ statement, sent }) => expect(types(encode(statement).bytes)).toBe(sent))

  test('values, names, texts and limits arrive as they were', () => {
    const { bytes } = encode(sendable(all, { bind }))
    for (const piece of ['old\0', 's\0SELECT $1\0', 'p\0s\0', 'a value']) expect(bytes.includes(piece)).toBe(true)
    expect(bytes.includes(Buffer.from([0x45, 0, 0, 0, 10, 0x70, 0, 0, 0, 0, 5]))).toBe(true)
  })

  test('two texts of one shape are not mixed up', () => {
    const frames: Frame[] = [['P', '', []], ['B', '', ''], ['E', '', 0], ['S']]
    const text = (sql: string) =>
      encode({ ...sendable(frames, { bind }), sql: sql as SafeSql }).bytes.toString('latin1')
    expect([text('SELECT 1'), text('SELECT 2'), text('SELECT 1')].map((bytes) => /SELECT \d/.exec(bytes)![0])).toEqual([
      'SELECT 1',
      'SELECT 2',
      'SELECT 1',
    ])
  })

  test('to learn of a snapshot early, the server is asked to answer the Bind at once', () => {
    expect(types(encode(sendable(all, { bind }), true).bytes)).toBe('CPDBDHECS')
    expect(types(encode(sendable([['B', '', 's'], ['E', '', 0], ['S']], { bind }), true).bytes)).toBe('BHES')
  })

  test("a simple query's COPY data waits until it is asked for", () => {
    const { bytes, copy } = encode(sendable([['Q'], ['d'], ['c']], { copy: Buffer.from('x\n') }))
    expect([types(bytes), types(copy!)]).toEqual(['Q', 'dc'])
  })
})

describe('answers', () => {
  test('after an error nothing waits for the Sync that what was skipped will never reach', () => {
    const answered: string[] = []
    const reader = new AnswerReader(
      {
        answered: (job, [outcome]) => answered.push(`${job.offsetUs} ${outcome!.error?.sqlstate ?? outcome!.tag}`),
        bound() {},
        copyIn() {},
      },
      () => 0,
      SYSTEM_TYPES,
    )
    const frames: Frame[] = [
      ['B', '', 's'],
      ['E', '', 0],
    ]
    const send = (n: number) => reader.expect(createJob([{ frames } as unknown as Script], [n], n))
    send(1)
    send(2)
    const error = Buffer.from('SERROR\0C22012\0Mdivision by zero\0\0')
    reader.message(0x45, error, 0, error.length)
    send(3)
    expect(answered).toEqual(['1 22012', '2 ', '3 '])
  })
})

describe('the feed', () => {
  const plan = (sessions: number[]): Plan => ({
    mode: 'session',
    statementCount: sessions.length,
    sessionCount: Math.max(...sessions) + 1,
    session: Int32Array.from(sessions),
    ordinal: Int32Array.from(sessions, (session, i) => sessions.slice(0, i + 1).filter((s) => s === session).length),
    waitStart: new Uint32Array(sessions.length + 1),
    waitSession: new Int32Array(),
    waitOrdinal: new Int32Array(),
    waitKind: new Uint8Array(),
  })

  function feed(scripts: Partial<Script>[], own: [number, number][], all = scripts.map(({ session }) => session! - 1)) {
    const offered: { session: number; job: Job; isFirst: boolean; isLast: boolean }[] = []
    const source = scripts.map(
      (script, i) => ({ seq: i + 1, part: 0, frames: [['Q']], sentUs: i * 10, doneUs: i * 10, ...script }) as Script,
    )
    const made = plan(all)
    const it = new Feed({
      source: source[Symbol.iterator](),
      plan: made,
      positions: positionsOf(made),
      own: new Map(own),
      originUs: 0,
      fates: null,
      offer: (session, job, place) => offered.push({ session, job, ...place }),
      ended: () => {},
    })
    return { it, offered }
  }

  test('gives each session its statements, with their places in the plan', () => {
    const { it, offered } = feed(
      [{ session: 1 }, { session: 2 }, { session: 1 }],
      [
        [1, 0],
        [2, 1],
      ],
    )
    it.pull(100)
    expect(offered.map(({ session, job, isFirst, isLast }) => [session, job.indexes, isFirst, isLast])).toEqual([
      [0, [0], true, false],
      [1, [1], true, true],
      [0, [2], false, true],
    ])
    expect(it.hasEnded).toBe(true)
  })

  test("leaves other workers' statements alone, and still knows its own places", () => {
    const { it, offered } = feed([{ session: 2 }, { session: 2 }], [[2, 1]], [0, 1, 0, 1])
    it.pull(100)
    expect(offered.map(({ job }) => job.indexes)).toEqual([[1], [3]])
  })

  test('parts of a simple query are one job, also at the end of a pull', () => {
    const { it, offered } = feed(
      [{ session: 1 }, { session: 1, part: 1, frames: [] }, { session: 1, part: 2, frames: [] }, { session: 2 }],
      [
        [1, 0],
        [2, 1],
      ],
    )
    it.pull(1)
    expect(offered.map(({ job, isLast }) => [job.rows.length, job.indexes, isLast])).toEqual([[3, [0, 1, 2], true]])
    it.pull(1)
    expect(offered).toHaveLength(2)
  })

  test('reads no further than asked', () => {
    const { it, offered } = feed(
      Array.from({ length: 50 }, () => ({ session: 1, frames: [['B', '', ''], ['S']] as Frame[] })),
      [[1, 0]],
    )
    it.pull(7)
    expect(offered).toHaveLength(7)
    expect(it.hasEnded).toBe(false)
  })
})

describe('the ledger', () => {
  test('a transaction is replayed when all of it was, else it counts under its first reason', () => {
    const tally = new Tally()
    tally.statement(1, 10)
    tally.statement(1, 10)
    tally.statement(1, 11, { kind: 'skipped', reason: 'unreplayable: x' })
    tally.statement(1, 11, { kind: 'lost', reason: 'connection' })
    tally.statement(2, 20)
    tally.statement(2, 20, { kind: 'lost', reason: 'connection' })
    const ledger = ledgerOf({ statements: 6, transactions: 3 }, 3, [tally.accounts(), new Tally().accounts()])
    expect(ledger).toEqual({
      seen: { statements: 6, transactions: 3 },
      kept: { statements: 3, transactions: 1 },
      filtered: {},
      skipped: { 'unreplayable: x': { statements: 1, transactions: 1 } },
      lost: { connection: { statements: 2, transactions: 1 } },
    })
    expect(balances(ledger)).toBe(true)
  })

  test('an outcome that did not reach the file, or that nobody was asked for, shows', () => {
    const tally = new Tally()
    tally.statement(1, 10)
    tally.statement(1, 11)
    const seen = { statements: 2, transactions: 2 }
    expect(balances(ledgerOf(seen, 2, [tally.accounts()]))).toBe(true)
    expect(imbalance(ledgerOf(seen, 1, [tally.accounts()]))).toEqual({ statements: 1, transactions: 0 })
    expect(imbalance(ledgerOf(seen, 3, [tally.accounts()]))).toEqual({ statements: -1, transactions: 0 })
    expect(imbalance(ledgerOf(seen, 2, []))).toEqual({ statements: 0, transactions: 2 })
  })
})

test('sessions are spread by their work', () => {
  const work = [100, 1, 1, 50, 48, 1]
  const worker = balance(work, 2)
  const load = [0, 1].map((w) => work.filter((_, session) => worker[session] === w).reduce((a, b) => a + b, 0))
  expect(Math.abs(load[0]! - load[1]!)).toBeLessThan(5)
})

test.each([
  ['SELECT 1', false],
  ['UPDATE settings SET value = 1', false],
  ['SET search_path = a', true],
  ["  set local x = '1'", true],
  ['LISTEN news', true],
  ['CREATE TEMP TABLE t (a int)', true],
  ["SELECT set_config('a.b', '1', false)", true],
  ['SELECT pg_advisory_lock(1)', true],
  ['SELECT pg_advisory_xact_lock(1)', false],
])('%s leaves state behind: %s', (sql, leaves) => expect(leavesState(sql)).toBe(leaves))
