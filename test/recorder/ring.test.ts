import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRing, RECORD, RingConsumer, RingProducer } from '../../recorder/tap/ring.js'

const pair = (bytes = 4096) => {
  const shared = createRing(bytes)
  return { producer: new RingProducer(shared), consumer: new RingConsumer(shared), shared }
}

describe('a ring', () => {
  test('gives back what was offered, in order, whatever the sizes and wherever it wraps', () => {
    const step = fc.oneof(
      fc.record({ offer: fc.uint8Array({ maxLength: 1500 }), skip: fc.nat(8) }),
      fc.constant({ take: true as const }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { producer, consumer } = pair()
        const expected: { session: number; payload: string }[] = []
        let session = 0
        const take = () => {
          const record = consumer.next()
          const wanted = expected.shift()
          expect(record && { session: record.session, payload: record.payload.toString('hex') }).toEqual(wanted ?? null)
        }
        for (const each of steps) {
          if ('take' in each) {
            take()
            continue
          }
          session += 1
          const start = Math.min(each.skip, each.offer.length)
          if (!producer.offer(RECORD.client, session, session * 1.5, 0, each.offer, start)) continue
          expected.push({ session, payload: Buffer.from(each.offer.subarray(start)).toString('hex') })
        }
        while (expected.length > 0) take()
        expect(consumer.next()).toBe(null)
        expect(consumer.usedBytes).toBe(0)
      }),
    )
  })

  test('refuses what does not fit and is unharmed by it', () => {
    const { producer, consumer } = pair()
    const kilobyte = new Uint8Array(1024).fill(7)
    let taken = 0
    while (producer.offer(RECORD.server, 1, 0, 0, kilobyte)) taken += 1
    expect(taken).toBe(3)
    expect(producer.offer(RECORD.server, 1, 0, 0, new Uint8Array(5000))).toBe(false)
    expect(consumer.next()?.payload.length).toBe(1024)
    expect(producer.offer(RECORD.gap, 9, 12.5, 3)).toBe(true)
    consumer.next()
    consumer.next()
    expect(consumer.next()).toMatchObject({ kind: RECORD.gap, session: 9, aux: 3, atUs: 12.5 })
  })

  test('counts on beyond 2³² bytes', () => {
    const { producer, consumer, shared } = pair()
    new Int32Array(shared, 0, 2).fill(-64)
    for (let i = 0; i < 100; i++) {
      expect(producer.offer(RECORD.client, i, i, 0, Buffer.from(`record ${i}`))).toBe(true)
      expect(consumer.next()?.payload.toString()).toBe(`record ${i}`)
    }
  })

  test('carries records between two threads without a lock', async () => {
    const shared = createRing(1 << 16)
    const producer = new RingProducer(shared)
    const records = 200_000
    // The built twin: a thread cannot load TypeScript.
    const ring = new URL('../../dist/recorder/tap/ring.js', import.meta.url).href
    const reader = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
       import(workerData.ring).then(({ RingConsumer }) => {
         const consumer = new RingConsumer(workerData.shared)
         let next = 0
         for (;;) {
           const closed = consumer.closed
           const record = consumer.next()
           if (record === null) { if (closed) break; consumer.sleep(1); continue }
           if (record.session !== next || record.payload.length !== next % 300 || record.payload.some((b) => b !== next % 256)) {
             parentPort.postMessage('record ' + next + ' is damaged'); return
           }
           next += 1
         }
         parentPort.postMessage(next)
       })`,
      { eval: true, workerData: { shared, ring } },
    )
    const answer = new Promise((resolve) => reader.once('message', resolve))
    const bytes = Array.from({ length: 256 }, (_, i) => new Uint8Array(300).fill(i))
    for (let i = 0; i < records; ) {
      if (producer.offer(RECORD.client, i, i, 0, bytes[i % 256]!.subarray(0, i % 300))) i += 1
      else await new Promise((resolve) => setImmediate(resolve))
    }
    producer.close()
    expect(await answer).toBe(records)
  })
})
