/** What a running replay tells of itself: figures for Prometheus and for the progress line. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serveText } from '../../base/metrics-server.js'
import { metricsText } from '../../replayer/run/metrics.js'
import type { ReplayProgress } from '../../replayer/run/replay.js'
import { type ReplayStatus, serviceBucket, Totals } from '../../replayer/run/status.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { replayTape } from './support.js'
import { simple, Tape } from './tape.js'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(() => database.drop())

function figures(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

test('at the end, the figures are those of the run; on the way, they were scraped', async () => {
  const tape = new Tape()
  for (let i = 0; i < 600; i++) tape.send(1 + (i % 3), simple(i % 100 === 0 ? 'SELECT 1/0' : 'SELECT 1'))
  tape.send(1, { ...simple('SELECT 2'), unreplayable: 'cannot tokenize box' })
  let read: (() => ReplayStatus) | null = null
  let scraped = ''
  let server: Awaited<ReturnType<typeof serveText>> | null = null
  const seen: ReplayProgress[] = []
  const { facts } = await replayTape(tape, database.url, {
    onBegin: (status) => {
      read = status
    },
    onProgress: (progress) => seen.push(progress),
  })
  server = await serveText({ host: '127.0.0.1', port: 0 }, () => metricsText('a "run"', read!()))
  try {
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`)
    expect(answer.headers.get('content-type')).toContain('version=0.0.4')
    scraped = await answer.text()
    expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404)
  } finally {
    server.close()
  }
  const all = figures(scraped)
  const of = (name: string, labels = '') => all.get(`pgrehearse_replay_${name}{run="a \\"run\\""${labels}}`)
  expect(of('statements')).toBe(601)
  expect(of('statements_replayed_total')).toBe(facts.ledger.kept.statements)
  expect(of('statements_not_sent_total')).toBe(1)
  expect(of('errors_total')).toBe(6)
  expect(of('service_seconds_count')).toBe(600)
  expect(of('service_seconds_bucket', ',le="+Inf"')).toBe(600)
  expect(of('service_seconds_sum')).toBeGreaterThan(0)
  expect(of('state', ',state="finishing"')).toBe(1)
  expect(of('late_seconds_total', ',cause="order"')).toBe(0)
  const last = seen.at(-1)!
  expect(last).toMatchObject({ done: 601, total: 601, errors: 6 })
  expect(last.positionMs).toBeCloseTo(599, 0)
  expect(last.spanMs).toBeGreaterThanOrEqual(last.positionMs)
})

test('every figure says what it is, and of which type', async () => {
  let read: (() => ReplayStatus) | null = null
  await replayTape(new Tape().send(1, simple('SELECT 1')), database.url, {
    onBegin: (status) => {
      read = status
    },
  })
  const text = await metricsText('run', read!())
  const said = (word: string) =>
    new Set([...text.matchAll(new RegExp(`^# ${word} (\\S+) \\S`, 'gm'))].map(([, name]) => name))
  const names = [...figures(text).keys()].map((key) => key.slice(0, key.indexOf('{')))
  const families = new Set(names.map((name) => name.replace(/(service_seconds)_(bucket|sum|count)$/, '$1')))
  expect(said('HELP')).toEqual(families)
  expect(said('TYPE')).toEqual(families)
  expect(figures(await metricsText('run', null)).get('pgrehearse_replay_state{run="run",state="planning"}')).toBe(1)
})

test('the rate is of the last ten seconds, not of all time', () => {
  const totals = new Totals()
  for (let s = 0; s <= 60; s++) {
    totals.statements += s < 50 ? 1000 : 10
    totals.perSecond(s * 1000)
  }
  expect(totals.perSecond(60_000)).toBe(10)
})

test.each([
  [0, 0],
  [250, 0],
  [251, 1],
  [10_000_000, 13],
  [99_000_000, 14],
])('a service time of %d µs counts in bucket %d', (us, bucket) => expect(serviceBucket(us)).toBe(bucket))
