import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Framer, LENGTH_MAX, type MessageSink } from '../../wire/framer.js'
import { buildExecute, buildParse, buildQuery, buildSync } from '../../wire/frontend.js'

type Seen = { type: string; body: string }

/** Notes what a framer says; parts of a long message are put together again. */
function listener() {
  const seen: Seen[] = []
  const faults: number[] = []
  let long = ''
  const sink: MessageSink = {
    message: (type, buffer, start, end) =>
      seen.push({ type: String.fromCharCode(type), body: buffer.toString('hex', start, end) }),
    part: (type, buffer, start, end, offset, bodyBytes) => {
      expect(offset).toBe(long.length / 2)
      long += buffer.toString('hex', start, end)
      if (long.length / 2 < bodyBytes) return
      seen.push({ type: String.fromCharCode(type), body: long })
      long = ''
    },
    malformed: (_, length) => faults.push(length),
  }
  return { seen, faults, sink }
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const stream = Buffer.concat([
  buildQuery('SELECT 1'),
  buildParse('s', 'SELECT $1', [23]),
  buildExecute('', 7),
  buildSync(),
  buildQuery('x'.repeat(300)),
])

describe('messages', () => {
  test('inside one chunk are slices of it', () => {
    const chunk = Buffer.concat([buildSync(), buildQuery('SELECT 1')])
    const slices: boolean[] = []
    new Framer({
      message: (_type, buffer) => slices.push(buffer === chunk),
      part: () => {},
      malformed: () => {},
    }).push(chunk)
    expect(slices).toEqual([true, true])
  })

  test('are the same wherever the stream is cut, and whichever are long', () => {
    const whole = listener()
    new Framer(whole.sink).push(stream)
    expect(whole.seen.map((message) => message.type).join('')).toBe('QPESQ')
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 40 }), fc.nat(400), (cuts, wholeBytesMax) => {
        const { seen, faults, sink } = listener()
        const framer = new Framer(sink, { wholeBytesMax })
        for (const chunk of cut(stream, cuts)) framer.push(chunk)
        expect(seen).toEqual(whole.seen)
        expect(faults).toEqual([])
        expect(framer.atBoundary).toBe(true)
      }),
    )
  })
})

describe('a length that cannot be', () => {
  test.each([
    { name: 'zero', length: 0 },
    { name: 'three', length: 3 },
    { name: 'negative', length: -1 },
    { name: 'two gigabytes', length: 0x7fffffff },
    { name: 'one more than PostgreSQL accepts', length: LENGTH_MAX + 1 },
  ])('$name is reported once, then the stream is ignored', ({ length }) => {
    const { seen, faults, sink } = listener()
    const framer = new Framer(sink)
    const header = Buffer.from('Q....')
    header.writeInt32BE(length, 1)
    framer.push(Buffer.concat([buildSync(), header, buildSync()]))
    framer.push(buildSync())
    expect(seen).toHaveLength(1)
    expect(faults).toEqual([length])
    expect(framer.broken).toBe(true)
  })
})

test('a declared length buys no memory', () => {
  const { sink } = listener()
  const before = process.memoryUsage().arrayBuffers
  const framers = Array.from({ length: 100 }, () => new Framer(sink))
  const header = Buffer.from('Q.....')
  header.writeInt32BE(16 * 1024 * 1024, 1)
  for (const framer of framers) framer.push(header)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * 1024 * 1024)
})

test('after a reset a new message may begin, whatever was half here', () => {
  fc.assert(
    fc.property(fc.nat(stream.length), fc.nat(400), (cutAt, wholeBytesMax) => {
      const { seen, sink } = listener()
      const framer = new Framer({ ...sink, part: () => {} }, { wholeBytesMax })
      framer.push(stream.subarray(0, cutAt))
      framer.reset()
      const before = seen.length
      framer.push(buildSync())
      expect(seen.slice(before)).toEqual([{ type: 'S', body: '' }])
    }),
  )
})

test('random bytes, cut at random, never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      const framer = new Framer({ message: () => {}, part: () => {}, malformed: () => {} }, { wholeBytesMax: 32 })
      for (const chunk of chunks) framer.push(chunk)
    }),
    { numRuns: 500 },
  )
})
