/**
 * The dashboard in docs/grafana fits what the programs serve: a real Prometheus scrapes a recorder, a replay and a
 * report's figures, and every query of every panel is asked of it as Grafana would.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MetricsServer, serveText } from '../../base/metrics-server.js'
import { withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { writeMarker } from '../../replayer/shadow/marker.js'
import { toPrometheus } from '../../reports/prometheus.js'
import { modelOf } from '../reports/build.js'
import { sample } from '../reports/sample.js'
import { simple, Tape } from '../run/tape.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Running, run, scratch, start } from './command.js'

type Target = { readonly expr: string; readonly legendFormat: string }
type Panel = {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly targets?: readonly Target[]
}
type Variable = { readonly name: string; readonly type: string; readonly query: string | { readonly query: string } }
type Dashboard = { readonly panels: readonly Panel[]; readonly templating: { readonly list: readonly Variable[] } }

const FILE = fileURLToPath(new URL('../../docs/grafana/pgrehearse.json', import.meta.url))
const dashboard = JSON.parse(readFileSync(FILE, 'utf8')) as Dashboard
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
)

/** Not on the dashboard, which has Prometheus compute rates over the time that is looked at. */
const NOT_SHOWN = [
  'pgrehearse_recorder_statements_per_second',
  'pgrehearse_recorder_written_bytes_per_second',
  'pgrehearse_replay_statements_per_second',
]

const folder = scratch()
const startedMs = Date.now()
let production: TestDatabase
let shadow: string
let recorder: Running
let replay: Running
let report: MetricsServer
let prometheus: ChildProcess
let api: string
let traffic: Promise<void>
let enough = false

beforeAll(async () => {
  production = await createDatabase('CREATE TABLE t (id int)')
  shadow = await makeShadow(`${production.name}_shadow`)
  const recorded = await record()
  const replayed = await replayFor(60)
  report = await serveText({ host: '127.0.0.1', port: 0 }, async () => toPrometheus(modelOf(sample({ kind: 'FAIL' }))))
  api = await scrape([recorded, replayed, `127.0.0.1:${report.port}`])
})

afterAll(async () => {
  enough = true
  await traffic
  report?.close()
  for (const child of [recorder?.child, replay?.child, prometheus]) child?.kill('SIGKILL')
  await Promise.all([recorder?.ended, replay?.ended])
  await production.query(`DROP DATABASE IF EXISTS ${production.name}_shadow WITH (FORCE)`)
  await production.drop()
  rmSync(folder, { recursive: true, force: true })
})

async function makeShadow(name: string): Promise<string> {
  await production.query(`CREATE DATABASE ${name}`)
  const url = withDatabase(production.url, name)
  const marker = { snapshotId: 'snap', role: 'shadow', createdAtMs: 0, policyHash: '', keyFingerprint: '' } as const
  await withClient(url, (client) => writeMarker(client, name, marker))
  return url
}

/** Starts a recorder, and traffic through it that goes on; returns where it serves its figures. */
async function record(): Promise<string> {
  const out = join(folder, 'recording')
  const addresses = ['--listen', '127.0.0.1:0', '--metrics', '127.0.0.1:0', '--upstream', production.url]
  recorder = start(['record', 'proxy', ...addresses, '--out', out], { PGREHEARSE_KEY: 'ab'.repeat(32) })
  const [, port, figures] = await recorder.said(
    /recording 127\.0\.0\.1:(\d+) to .*\n.*figures at http:\/\/(\S+)\/metrics/,
  )
  const client = new pg.Client(Object.assign(new URL(production.url), { hostname: '127.0.0.1', port }).href)
  await client.connect()
  const control = ['--control', `${out}.control`]
  await run('record', 'pause', ...control)
  await client.query('SELECT 0')
  await run('record', 'resume', ...control)
  traffic = (async () => {
    while (!enough) await client.query('INSERT INTO t SELECT 1 FROM pg_sleep($1)', [0.02])
    await client.end()
  })()
  return figures!
}

/** Starts a replay that takes so many seconds, with errors, what is left out and what cannot be sent. */
async function replayFor(seconds: number): Promise<string> {
  const tape = new Tape()
  for (let n = 0; n < seconds * 50; n += 1) {
    tape.send(1 + (n % 4), simple(n % 10 === 0 ? 'SELECT 1/0' : 'SELECT 1')).pause(19_000)
  }
  tape.send(1, { ...simple('SELECT 2'), unreplayable: 'cannot tokenize box' })
  const out = ['--out', join(folder, 'run.sqlite')]
  replay = start(['replay', tape.write(), '--target', shadow, '--metrics', '127.0.0.1:0', ...out])
  const [, figures] = await replay.said(/figures at http:\/\/(\S+)\/metrics/)
  return figures!
}

async function scrape(targets: readonly string[]): Promise<string> {
  mkdirSync(join(folder, 'prometheus'))
  const config = join(folder, 'prometheus.yml')
  const job = { job_name: 'pgrehearse', static_configs: [{ targets }] }
  writeFileSync(config, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [job] }))
  const data = `--storage.tsdb.path=${join(folder, 'prometheus')}`
  prometheus = spawn('prometheus', [`--config.file=${config}`, data, '--web.listen-address=127.0.0.1:0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let address: string | undefined
  for await (const line of createInterface({ input: prometheus.stderr! })) {
    address ??= /msg="Listening on" address=(\S+)/.exec(line)?.[1]
    if (line.includes('ready to receive web requests')) break
  }
  prometheus.stderr!.resume()
  return `http://${address}/api/v1`
}

async function ask(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
  const answer = await fetch(`${api}/${path}?${new URLSearchParams(parameters)}`)
  const { status, data, error } = (await answer.json()) as { status: string; data: unknown; error?: string }
  if (status !== 'success') throw new Error(`${error}: ${JSON.stringify(parameters)}`)
  return data
}

type Series = { readonly metric: Readonly<Record<string, string>>; readonly values: readonly [number, string][] }

/** As Grafana asks: over the time shown, with its variables filled in. */
async function seriesOf(expr: string): Promise<Series[]> {
  const query = expr.replaceAll(/\$(recording|run)\b/g, '.*').replaceAll('$__rate_interval', '10s')
  const time = { start: String(startedMs / 1000), end: String(Date.now() / 1000), step: '1s' }
  const { result } = (await ask('query_range', { query, ...time })) as { result: Series[] }
  return result.filter(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))))
}

async function withoutData(): Promise<string[]> {
  const answers = await Promise.all(
    queries.map(async ({ title, expr }) => ({ title, expr, series: await seriesOf(expr) })),
  )
  return answers.filter(({ series }) => series.length === 0).map(({ title, expr }) => `${title}: ${expr}`)
}

const namesIn = (text: string) => text.match(/\bpgrehearse_\w+/g) ?? []

describe('the dashboard', () => {
  test('every query of every panel returns figures', async () => {
    expect(queries.length).toBeGreaterThan(40)
    await expect.poll(withoutData, { timeout: 50_000, interval: 500 }).toEqual([])
  })

  test('shows every figure there is, and none that there is not', async () => {
    const served = (await ask('label/__name__/values', {})) as string[]
    const ours = served.filter((name) => name.startsWith('pgrehearse_'))
    const shown = queries.flatMap(({ expr }) => namesIn(expr))
    expect([...new Set([...shown, ...NOT_SHOWN])].sort()).toEqual(ours.sort())
  })

  test('names what a line stands for by labels that the figures have', async () => {
    for (const { title, expr, legendFormat } of queries) {
      const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
      for (const { metric } of await seriesOf(expr))
        expect([title, Object.keys(metric)]).toEqual([title, expect.arrayContaining(labels)])
    }
  })

  test('lets one choose among recordings and among runs', async () => {
    const chosen: Record<string, unknown> = {}
    for (const { name, type, query } of dashboard.templating.list) {
      if (type !== 'query' || typeof query === 'string') continue
      const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query.query) ?? []
      chosen[name] = await ask(`label/${label}/values`, { 'match[]': metric! })
    }
    expect(chosen).toEqual({ recording: [join(folder, 'recording')], run: [join(folder, 'run.sqlite')] })
  })

  test('is as Grafana reads it: panels have ids of their own and do not lie on each other', () => {
    const placed = dashboard.panels as readonly (Panel & { gridPos: { x: number; y: number; w: number; h: number } })[]
    expect(new Set(placed.map(({ id }) => id)).size).toBe(placed.length)
    const cells = placed.flatMap(({ gridPos: { x, y, w, h } }) => {
      return Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`)
    })
    expect(new Set(cells).size).toBe(cells.length)
    expect(placed.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true)
  })
})
