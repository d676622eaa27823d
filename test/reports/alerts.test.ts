/** `report --alerts`, against a real HTTP server: no alert is lost, none is sent twice, nothing waits for the receiver. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addState, createDiff } from '../../segment/diff-file.js'
import { pgrehearse as runIn } from './command-line.js'
import { sample, stateOf } from './sample.js'

type Got = { readonly path: string; readonly key: string; readonly body: Record<string, unknown> }

const source = sample({ kind: 'FAIL', discrepancies: 60, queryShapes: 8 })
const FINDINGS = [...source.findings()].length

let folder: string
let diff: string
let server: Server
let got: Got[]
let answer: (request: IncomingMessage, response: ServerResponse) => void
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-alerts-'))
  diff = join(folder, 'a.diff')
  const writer = createDiff(diff)
  for (const finding of source.findings()) writer.finding(finding)
  for (const discrepancy of source.discrepancies()) writer.discrepancy(discrepancy)
  for (const row of source.latency()) writer.latency(row)
  writer.close(source.facts)
  got = []
  answer = (_, response) => response.end()
  server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += String(chunk)
    })
    request.on('end', () => {
      got.push({ path: request.url ?? '', key: String(request.headers['idempotency-key']), body: JSON.parse(text) })
      answer(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/triage`
const report = (...more: string[]) => runIn(folder, 'report', diff, '--alerts', url(), ...more)
const ids = () => got.map(({ body }) => String(body.alert_id))

test('each finding once, in the agreed shape', async () => {
  const first = await report()
  expect([first.exit, first.out]).toEqual([0, expect.stringContaining(`${FINDINGS} alerts delivered`)])
  expect(got).toHaveLength(FINDINGS)
  const [constraint] = got
  expect(constraint).toMatchObject({ path: '/triage/api/v1/comparator/alerts', key: constraint?.body.alert_id })
  expect(constraint?.body).toEqual({
    alert_id: expect.any(String),
    trace_id: expect.any(String),
    mismatch_type: 'SCHEMA_CONSTRAINT_VIOLATION',
    production_db_duration_ms: expect.any(Number),
    shadow_db_duration_ms: expect.any(Number),
    comparison_details: {
      sql_statement: expect.stringContaining('INSERT INTO orders'),
      error_class: '23502',
      error_message: expect.stringContaining('null value in column'),
    },
    reconciliation_action: 'ENQUEUE_TRIAGE_JOB',
  })
  await report()
  expect(got).toHaveLength(FINDINGS)
})

test('what verify found in the tables is sent too, once each, and what is no fault is not', async () => {
  await report()
  addState(diff, stateOf('FAIL'))
  const second = await report()
  expect(second.out).toContain('2 alerts delivered')
  const [rows, index] = got.slice(FINDINGS)
  expect(rows?.body).toEqual({
    alert_id: expect.stringContaining('-state-s-000000000001'),
    trace_id: 'state/users',
    mismatch_type: 'SEMANTIC_MISMATCH',
    production_db_duration_ms: 0,
    shadow_db_duration_ms: 0,
    comparison_details: {
      sql_statement: '',
      error_class: 'rows',
      error_message: 'after the replay, in users: email is cut to 32 characters',
    },
    reconciliation_action: 'ENQUEUE_TRIAGE_JOB',
  })
  expect(index?.body).toMatchObject({ trace_id: 'state/orders', comparison_details: { error_class: 'schema_missing' } })
  expect(JSON.stringify(got)).not.toContain('order_totals')
  await report()
  expect(got).toHaveLength(FINDINGS + 2)
})

test('a receiver that fails now and then is asked again', async () => {
  answer = (_, response) => {
    response.statusCode = got.length % 2 === 1 ? 503 : 204
    response.end()
  }
  await report()
  expect(new Set(ids()).size).toBe(FINDINGS)
  expect(got).toHaveLength(2 * FINDINGS)
})

test('one that fails throughout costs neither report nor verdict, and gets all of them when it is well', async () => {
  answer = (_, response) => {
    response.statusCode = 500
    response.end()
  }
  const failed = await report('--html', join(folder, 'r.html'))
  expect([failed.exit, existsSync(join(folder, 'r.html'))]).toEqual([0, true])
  expect(failed.err).toContain(`${FINDINGS} alerts could not be delivered (HTTP 500)`)
  got = []
  answer = (_, response) => response.end()
  await report()
  expect(new Set(ids()).size).toBe(FINDINGS)
  expect(got).toHaveLength(FINDINGS)
})

test('one that never answers: the report was there before it was asked, and the command ends', async () => {
  let written = false
  answer = () => {
    written = existsSync(join(folder, 'r.html'))
  }
  const slow = await report('--html', join(folder, 'r.html'), '--alerts-within', '1s')
  expect([slow.exit, written]).toEqual([0, true])
  expect(slow.err).toContain('no answer in time')
})

test('one that is not there', async () => {
  const nowhere = url()
  await new Promise((resolve) => server.close(resolve))
  const result = await runIn(folder, 'report', diff, '--alerts', nowhere)
  expect([result.exit, result.err]).toEqual([0, expect.stringContaining('ECONNREFUSED')])
})

test('one that refuses an alert is not asked again for it, and the rest goes on', async () => {
  answer = (_, response) => {
    response.statusCode = got.length === 1 ? 400 : 200
    response.end()
  }
  const result = await report()
  expect(got).toHaveLength(FINDINGS)
  expect(result.err).toContain('1 alert could not be delivered (HTTP 400)')
})

test('what is no URL is refused before anything is written', async () => {
  const result = await runIn(folder, 'report', diff, '--alerts', 'file:///etc/passwd', '--html', join(folder, 'r.html'))
  expect([result.exit, existsSync(join(folder, 'r.html'))]).toEqual([2, false])
})
