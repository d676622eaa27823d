import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { DRAIN_LIMITS } from '../../recorder/drain/drain.js'
import { Known } from '../../recorder/drain/known.js'
import { DrainSession, type SessionStore } from '../../recorder/drain/session.js'
import type { SessionEvent, Statement } from '../../segment/statement.js'
import { buildBindRest } from '../../wire/bind.js'
import {
  buildBind,
  buildClose,
  buildCopyData,
  buildCopyDone,
  buildDescribe,
  buildExecute,
  buildParse,
  buildQuery,
  buildSync,
} from '../../wire/frontend.js'
import { server } from './messages.js'
import { KEEP_ALL, KEY } from './recording.js'

let masker: Masker
beforeAll(async () => {
  const catalog = { database: 'd', serverVersionNum: 180_000, searchPath: [], relations: [], types: [], functions: [] }
  masker = await createMasker({ key: KEY, policy: KEEP_ALL, catalog })
})

function drained(limits = DRAIN_LIMITS) {
  const statements: Statement[] = []
  const events: SessionEvent[] = []
  const lost: string[] = []
  let seq = 0
  let transaction = 0
  const store: SessionStore = {
    nextSeq: (count) => {
      seq += count
      return seq - count + 1
    },
    nextTransaction: () => ++transaction,
    write: (more) => statements.push(...more),
    event: (event) => events.push(event),
    lost: (reason) => lost.push(reason),
    notFollowed: () => {},
    filtered: () => null,
    leave: () => {},
  }
  const session = new DrainSession(1, store, masker, new Known(masker), limits)
  return { session, statements, events, lost }
}

/** One round trip: what the client says, what the server answers. */
type Turn = { client: Buffer; server: Buffer }

const ROW = server.columns([{ name: 'n', typeOid: 23 }])
const TURNS: readonly Turn[] = [
  {
    client: buildQuery('SELECT 1'),
    server: Buffer.concat([ROW, server.row(['1']), server.complete('SELECT 1'), server.ready('I')]),
  },
  { client: buildQuery('BEGIN'), server: Buffer.concat([server.complete('BEGIN'), server.ready('T')]) },
  { client: buildQuery('COMMIT'), server: Buffer.concat([server.complete('COMMIT'), server.ready('I')]) },
  { client: buildQuery('SELECT 1/0'), server: Buffer.concat([server.error('22012'), server.ready('I')]) },
  {
    client: Buffer.concat([
      buildParse('', 'SELECT $1::int', [23]),
      buildBind('', '', buildBindRest(['1'])),
      buildDescribe('P', ''),
      buildExecute(''),
      buildSync(),
    ]),
    server: Buffer.concat([
      server.message('1'),
      server.message('2'),
      ROW,
      server.row([null]),
      server.complete('SELECT 1'),
      server.ready('I'),
    ]),
  },
  {
    client: Buffer.concat([buildParse('x', 'oops'), buildDescribe('S', 'x'), buildSync()]),
    server: Buffer.concat([server.notice('hm'), server.error('42601'), server.ready('I')]),
  },
  {
    client: Buffer.concat([buildQuery('COPY t FROM STDIN'), buildCopyData(Buffer.from('1\n')), buildCopyDone()]),
    server: Buffer.concat([server.message('G', Buffer.from([0, 0, 0])), server.complete('COPY 1'), server.ready('I')]),
  },
  {
    client: Buffer.concat([buildClose('S', 'x'), buildSync()]),
    server: Buffer.concat([server.message('3'), server.ready('I')]),
  },
]

const turns = fc.array(fc.constantFrom(...TURNS), { maxLength: 12 })

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return ends.slice(1).map((end, i) => bytes.subarray(ends[i], end))
}

test('the cuts of the streams do not matter', () => {
  fc.assert(
    fc.property(turns, fc.array(fc.nat(2000), { maxLength: 30 }), (conversation, places) => {
      const whole = drained()
      const pieces = drained()
      for (const turn of conversation) {
        whole.session.client(turn.client, 1)
        whole.session.server(turn.server, 2)
        for (const chunk of cut(turn.client, places)) pieces.session.client(chunk, 1)
        for (const chunk of cut(turn.server, places)) pieces.session.server(chunk, 2)
      }
      whole.session.close(3)
      pieces.session.close(3)
      expect(pieces.statements).toEqual(whole.statements)
      expect(whole.lost).toEqual([])
      expect(whole.statements).toHaveLength(conversation.length)
    }),
  )
})

test('a conversation sent ahead of its answers is understood the same', () => {
  fc.assert(
    fc.property(turns, (conversation) => {
      const { session, statements, lost } = drained()
      session.client(Buffer.concat(conversation.map((turn) => turn.client)), 1)
      session.server(Buffer.concat(conversation.map((turn) => turn.server)), 2)
      session.close(3)
      expect(statements).toHaveLength(conversation.length)
      expect(lost).toEqual([])
    }),
  )
})

test('damaged streams never throw, and what is kept stays in order', () => {
  const damage = fc.array(fc.record({ at: fc.nat(3000), byte: fc.nat(255), drop: fc.boolean() }), { maxLength: 6 })
  const damaged = (bytes: Buffer, damages: readonly { at: number; byte: number; drop: boolean }[]) => {
    let result = Buffer.from(bytes)
    for (const { at, byte, drop } of damages) {
      if (at >= result.length) continue
      if (drop) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)])
      else result[at] = byte
    }
    return result
  }
  fc.assert(
    fc.property(turns, damage, damage, (conversation, ofClient, ofServer) => {
      const { session, statements } = drained()
      session.client(damaged(Buffer.concat(conversation.map((turn) => turn.client)), ofClient), 1)
      session.server(damaged(Buffer.concat(conversation.map((turn) => turn.server)), ofServer), 2)
      session.close(3)
      expect(statements.map(({ ordinal }) => ordinal)).toEqual(statements.map((_, i) => i + 1))
    }),
    { numRuns: 2000 },
  )
})

test('noise never throws', () => {
  const chunk = fc.record({ fromClient: fc.boolean(), bytes: fc.uint8Array({ maxLength: 80 }) })
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 30 }), (chunks) => {
      const { session } = drained()
      for (const { fromClient, bytes } of chunks) {
        if (fromClient) session.client(Buffer.from(bytes), 1)
        else session.server(Buffer.from(bytes), 1)
      }
      session.close(2)
    }),
    { numRuns: 1000 },
  )
})

test('valid messages in any order never throw', () => {
  const frontend = TURNS.map((turn) => turn.client)
  const backend = [
    ...'12nIsZTDCEtGHcdAVSK3'.split('').map((type) => server.message(type)),
    server.row(['1', null]),
    ROW,
    server.error('XX000'),
    server.ready('T'),
    server.complete('SELECT 1'),
    server.parameterTypes([23]),
    server.parameter('client_encoding', 'LATIN1'),
  ]
  const word = fc.oneof(
    fc.constantFrom(...frontend).map((bytes) => ({ fromClient: true, bytes })),
    fc.constantFrom(...backend).map((bytes) => ({ fromClient: false, bytes })),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      const { session } = drained()
      for (const { fromClient, bytes } of words) {
        if (fromClient) session.client(bytes, 1)
        else session.server(bytes, 1)
      }
      session.close(2)
    }),
    { numRuns: 2000 },
  )
})

test('after a gap in the middle of messages the next transaction is whole', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.nat(200), (ofClient, place) => {
      const { session, statements, lost } = drained()
      const half = TURNS[4]!
      session.client(ofClient ? half.client.subarray(0, place % half.client.length) : half.client, 1)
      if (!ofClient) session.server(half.server.subarray(0, place % half.server.length), 2)
      session.gap('ring full', 0)
      session.client(TURNS[0]!.client, 3)
      session.server(TURNS[0]!.server, 4)
      expect(statements).toMatchObject([{ ordinal: 1, outcome: { tag: 'SELECT 1', rows: [['1']] } }])
      expect(lost.filter((reason) => reason !== 'ring full')).toEqual([])
    }),
  )
})

test('a client that is never answered does not fill the memory', () => {
  const { session, events, lost } = drained({ ...DRAIN_LIMITS, pendingBytesMax: 100_000 })
  for (let i = 0; i < 10_000; i++) session.client(TURNS[4]!.client, i)
  expect(events).toMatchObject([{ kind: 'lost', detail: { why: 'too much was sent and not answered' } }])
  expect(lost).toHaveLength(1)
})

test('a row, a Bind and COPY data beyond the bounds pass by: their statements are kept without them', () => {
  const { session, statements } = drained({ ...DRAIN_LIMITS, messageBytesMax: 1000, copyBytesMax: 1000 })
  session.client(buildQuery('SELECT x'), 1)
  const columns = server.columns([{ name: 'x', typeOid: 25 }])
  session.server(Buffer.concat([columns, server.row(['small']), server.row(['x'.repeat(5000)])]), 2)
  session.server(Buffer.concat([server.complete('SELECT 2'), server.ready('I')]), 3)
  session.client(Buffer.concat([buildQuery('COPY t FROM STDIN'), buildCopyData(Buffer.alloc(600))]), 4)
  session.client(Buffer.concat([buildCopyData(Buffer.alloc(600)), buildCopyDone()]), 5)
  session.server(Buffer.concat([server.complete('COPY 9'), server.ready('I')]), 6)
  const bind = buildBind('', '', buildBindRest(['x'.repeat(5000)]))
  session.client(Buffer.concat([buildParse('', 'SELECT $1'), bind, buildExecute(''), buildSync()]), 7)
  session.server(
    Buffer.concat([server.message('1'), server.message('2'), server.complete('SELECT 1'), server.ready('I')]),
    8,
  )
  expect(statements.map(({ outcome, unreplayable }) => [outcome.tag, outcome.digest === null, unreplayable])).toEqual([
    ['SELECT 2', true, null],
    ['COPY 9', true, 'its COPY data is too large to be recorded'],
    ['SELECT 1', true, 'its message is too large to be recorded'],
  ])
  expect(statements[0]!.outcome.rowsCut).toBe(true)
})

test('what a dropped transaction did to names is not dropped with it', () => {
  const { session, statements } = drained()
  session.client(buildQuery('BEGIN'), 1)
  session.server(Buffer.concat([server.complete('BEGIN'), server.ready('T')]), 1)
  session.client(Buffer.concat([buildParse('kept', 'SELECT 1'), buildSync()]), 2)
  session.server(Buffer.concat([server.message('1'), server.ready('T')]), 2)
  session.gap('ring full', 3)
  expect(statements).toMatchObject([
    { ordinal: 1, sql: 'SELECT 1', frames: [['C', 'S', 'kept'], ['P', 'kept', []], ['S']] },
  ])
})

test.each([
  { name: 'was not offered', lose: (session: DrainSession) => session.gap('ring full', 9) },
  {
    name: 'could not be written',
    lose: (session: DrainSession) => {
      session.restate('recording could not be written')
      session.client(TURNS[2]!.client, 9)
      session.server(TURNS[2]!.server, 9)
    },
  },
])('a long transaction whose rest $name is broken off where it ends', ({ lose }) => {
  const { session, statements } = drained({ ...DRAIN_LIMITS, transactionStatementsMax: 2 })
  const inside = server.ready('T')
  session.client(buildQuery('BEGIN'), 1)
  session.server(Buffer.concat([server.complete('BEGIN'), inside]), 1)
  for (let i = 0; i < 4; i++) {
    session.client(buildQuery('UPDATE t SET n = 1'), 2)
    session.server(Buffer.concat([server.complete('UPDATE 1'), inside]), 2)
  }
  lose(session)
  session.client(TURNS[0]!.client, 10)
  session.server(TURNS[0]!.server, 10)
  const tags = statements.map(({ outcome }) => outcome.tag)
  expect(tags).toEqual(['BEGIN', 'UPDATE 1', 'UPDATE 1', 'UPDATE 1', 'ROLLBACK', 'SELECT 1'])
  expect(statements.map(({ ordinal }) => ordinal)).toEqual([1, 2, 3, 4, 5, 6])
})
