import { describe, expect, test } from 'vitest'
import { createRing, RECORD, RingConsumer, RingProducer } from '../../recorder/tap/ring.js'
import { SessionTap } from '../../recorder/tap/session-tap.js'
import { CELL, createTally, PASSING, Tally } from '../../recorder/tap/tally.js'
import { buildExecute, buildParse, buildQuery, buildSync } from '../../wire/frontend.js'
import { buildStartup } from '../../wire/startup.js'
import { server } from './messages.js'

const KIND = Object.fromEntries(Object.entries(RECORD).map(([name, kind]) => [kind, name]))

function tapped(ringBytes = 1 << 16) {
  const shared = createRing(ringBytes)
  const producer = new RingProducer(shared)
  const consumer = new RingConsumer(shared)
  const tally = new Tally(createTally())
  const tap = new SessionTap(1, buildStartup({ user: 'ann' }), producer, tally)
  const taken = () => {
    const records: { kind: string; text: string; aux: number }[] = []
    for (let record = consumer.next(); record; record = consumer.next()) {
      records.push({ kind: KIND[record.kind]!, text: record.payload.toString('latin1'), aux: record.aux })
    }
    return records
  }
  const greet = () => tap.server(Buffer.concat([server.authenticationOk(), server.key(7), server.ready('I')]), 0)
  const fill = () => {
    while (producer.offer(RECORD.cancel, 0, 0));
  }
  return { tap, tally, taken, greet, fill, producer, consumer }
}

const answered = (status: string) => Buffer.concat([server.complete('SELECT 1'), server.ready(status)])

describe('authentication', () => {
  test('never reaches the ring, whatever the method and the cuts', () => {
    const { tap, taken } = tapped()
    const secret = 'hunter2-hunter2'
    tap.server(server.authentication(10, Buffer.from('SCRAM-SHA-256\0\0')), 0)
    for (const byte of server.message('p', Buffer.from(`${secret}\0`))) tap.client(Uint8Array.of(byte), 0)
    tap.server(server.authentication(12, Buffer.from(`v=${secret}`)), 0)
    const end = Buffer.concat([server.authenticationOk(), server.parameter('TimeZone', 'UTC'), server.key(7)])
    for (const byte of end) tap.server(Uint8Array.of(byte), 0)
    expect(taken()).toEqual([])
    tap.server(server.ready('I'), 0)
    const records = taken()
    expect(records.map((record) => record.kind)).toEqual(['open'])
    expect(records[0]!.text).toContain('TimeZone')
    expect(records[0]!.text).toContain('ann')
    expect(records[0]!.text).not.toContain('hunter2')
    expect(records[0]!.text).not.toContain('SCRAM')
  })

  test('that fails leaves nothing', () => {
    const { tap, taken } = tapped()
    tap.server(server.error('28P01'), 0)
    expect(tap.close(1)).toBe(true)
    expect(taken()).toEqual([])
  })
})

describe('a full ring', () => {
  test('drops the rest of the transaction, counts it, and resumes at the next one', () => {
    const { tap, tally, taken, greet, fill } = tapped()
    greet()
    tap.client(buildQuery('BEGIN'), 1)
    tap.server(answered('T'), 2)
    fill()
    tap.client(buildQuery('UPDATE 1'), 3)
    tap.server(answered('T'), 4)
    expect(tap.phase).toBe('passing')
    taken()
    tap.client(buildQuery('UPDATE 2'), 5)
    tap.server(answered('T'), 6)
    expect(taken()).toEqual([])
    tap.client(buildQuery('COMMIT'), 7)
    tap.server(answered('I'), 8)
    expect(taken().map(({ kind, aux }) => [kind, aux])).toEqual([['gap', PASSING.ringFull]])
    tap.client(buildQuery('SELECT 3'), 9)
    expect(taken().map(({ kind }) => kind)).toEqual(['client'])
    expect(tally.read(CELL.executionsSeen)).toBe(5)
    expect(tally.read(CELL.executionsPassed + PASSING.ringFull)).toBe(3)
    expect(tally.read(CELL.transactionsPassed + PASSING.ringFull)).toBe(1)
  })

  test('does not resume in the middle of a pipeline', () => {
    const { tap, taken, greet, fill } = tapped()
    greet()
    fill()
    tap.client(Buffer.concat([buildQuery('a'), buildQuery('b')]), 1)
    taken()
    tap.server(answered('I'), 2)
    expect(tap.phase).toBe('passing')
    tap.server(answered('I'), 3)
    expect(tap.phase).toBe('recording')
  })

  test('does not resume between an Execute and its Sync', () => {
    const { tap, taken, greet, fill } = tapped()
    greet()
    fill()
    tap.client(Buffer.concat([buildParse('', 'SELECT 1'), buildExecute('')]), 1)
    taken()
    tap.client(buildSync(), 2)
    expect(tap.phase).toBe('passing')
    tap.server(answered('I'), 3)
    expect(tap.phase).toBe('recording')
  })

  test('keeps the named statements that are parsed meanwhile', () => {
    const { tap, taken, greet, fill } = tapped()
    greet()
    fill()
    const parse = buildParse('named', 'SELECT $1')
    tap.client(Buffer.concat([buildParse('', 'SELECT 2'), parse, buildExecute(''), buildSync()]), 1)
    taken()
    tap.server(answered('I'), 2)
    expect(taken()).toEqual([
      { kind: 'gap', text: '', aux: PASSING.ringFull },
      { kind: 'state', text: parse.toString('latin1'), aux: 0 },
    ])
  })

  test('waits for a COPY to end, although the server ignores the Sync sent with it', () => {
    const { tap, taken, greet, fill } = tapped()
    greet()
    fill()
    tap.client(Buffer.concat([buildExecute(''), buildSync()]), 1)
    tap.server(server.message('G', Buffer.from([0, 0, 0])), 2)
    taken()
    tap.client(Buffer.concat([server.message('d', Buffer.from('1\n')), server.message('c'), buildSync()]), 3)
    tap.server(answered('I'), 4)
    expect(tap.phase).toBe('recording')
  })

  test('when a session begins: it opens as soon as there is room', () => {
    const { tap, taken, greet, fill } = tapped()
    fill()
    greet()
    tap.client(buildQuery('SELECT 1'), 1)
    taken()
    tap.server(answered('I'), 2)
    expect(taken().map(({ kind }) => kind)).toEqual(['open'])
  })

  test('news of a closed session is not lost', () => {
    const { tap, taken, greet, fill } = tapped()
    greet()
    taken()
    fill()
    expect(tap.close(1)).toBe(false)
    taken()
    expect(tap.close(2)).toBe(true)
    expect(taken().map(({ kind }) => kind)).toEqual(['close'])
  })
})

describe('pause and end', () => {
  test('take effect at the end of the transaction', () => {
    const { tap, tally, taken, greet } = tapped()
    greet()
    tap.client(buildQuery('BEGIN'), 1)
    tap.server(answered('T'), 2)
    tap.hold(PASSING.paused, 3)
    expect(tap.phase).toBe('recording')
    tap.client(buildQuery('COMMIT'), 4)
    tap.server(answered('I'), 5)
    expect(tap.phase).toBe('passing')
    taken()
    tap.client(buildQuery('SELECT 1'), 6)
    tap.server(answered('I'), 7)
    expect(taken()).toEqual([])
    expect(tally.read(CELL.executionsPassed + PASSING.paused)).toBe(1)
    tap.release(8)
    expect(tap.phase).toBe('recording')
    tap.endAtBoundary(9)
    expect(tap.phase).toBe('ended')
  })
})

test('a session that begins while recording is paused opens when it goes on', () => {
  const { tap, tally, taken, greet } = tapped()
  tap.hold(PASSING.paused, 0)
  greet()
  tap.client(buildQuery('SELECT 1'), 1)
  tap.server(answered('I'), 2)
  expect(taken()).toEqual([])
  tap.release(3)
  tap.client(buildQuery('SELECT 2'), 4)
  expect(taken().map(({ kind }) => kind)).toEqual(['open', 'client'])
  expect(tally.read(CELL.executionsPassed + PASSING.paused)).toBe(1)
})

test('bytes that are not the protocol end the recording of their session only', () => {
  const { tap, tally, taken, greet } = tapped()
  greet()
  taken()
  tap.client(Buffer.from('Q\xff\xff\xff\xff', 'latin1'), 1)
  tap.client(buildQuery('SELECT 1'), 2)
  tap.server(answered('I'), 3)
  expect(tap.phase).toBe('passing')
  expect(tally.read(CELL.sessionsBroken)).toBe(1)
})
