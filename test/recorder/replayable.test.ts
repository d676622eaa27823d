/** Drivers that speak differently, and the ORMs on top of them: the same results as direct, and a recording that can be replayed. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildPlan } from '../../replayer/plan/build.js'
import { replay } from '../../replayer/run/replay.js'
import { balances } from '../../segment/ledger.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { runOfRecording } from '../../segment/run-source.js'
import { collect } from '../compare/lab.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { type Bench, bench, through } from './recording.js'
import { onPath, run, SCHEMA, WORK } from './work.js'

let at: Bench
let production: TestDatabase
let direct: TestDatabase
let shadow: TestDatabase
beforeEach(async () => {
  at = bench()
  production = await createDatabase(...SCHEMA)
  direct = await createDatabase(...SCHEMA)
  shadow = await createDatabase(...SCHEMA)
})
afterEach(async () => {
  at.remove()
  for (const database of [production, direct, shadow]) await database.drop()
})

for (const { name, work, runs = true } of WORK) {
  test.runIf(runs)(`${name}: equal to direct, and replays with equal outcomes and tables`, async () => {
    const expected = await work(direct.url)
    const proxy = await at.start(production.url)
    expect(await work(through(production.url, proxy))).toEqual(expected)
    const manifest = await proxy.stop()
    expect(balances(manifest!.ledger)).toBe(true)
    expect(manifest!.ledger.lost).toEqual({})
    expect(await differences(proxy.path, shadow.url)).toEqual([])
    const rows = 'SELECT * FROM member ORDER BY id'
    expect((await shadow.query(rows)).rows).toEqual((await production.query(rows)).rows)
  })
}

test.runIf(onPath('pgbench'))('pgbench -M prepared, eight clients: replays to equal tables', async () => {
  const tables = 'accounts tellers branches history'.split(' ')
  for (const { url } of [production, shadow]) await run('pgbench', ['-i', '-q', '-s', '1', url])
  const proxy = await at.start(production.url)
  await run('pgbench', ['-n', '-M', 'prepared', '-c', '8', '-t', '20', through(production.url, proxy)])
  const manifest = await proxy.stop()
  expect(manifest!.ledger.lost).toEqual({})
  // The columns of its history hold the time of day.
  await differences(proxy.path, shadow.url)
  for (const table of tables) {
    const columns = table === 'history' ? 'tid, bid, aid, delta' : '*'
    const rows = `SELECT ${columns} FROM pgbench_${table} ORDER BY 1, 2, 3`
    expect((await shadow.query(rows)).rows).toEqual((await production.query(rows)).rows)
  }
})

async function differences(path: string, target: string): Promise<unknown[]> {
  const recording = openRecording(path)
  const { plan } = await buildPlan(recording)
  const out = join(at.folder, 'run.sqlite')
  const facts = await replay({ recording: path, plan, target, out, workers: 2 })
  const replayed = openRun(out)
  const found: unknown[] = []
  // What a person would be told of it: nothing.
  const { findings } = collect({ before: runOfRecording(recording), after: replayed, recording })
  for (const { mismatch, cause } of findings) if (mismatch !== 'LATENCY_SPIKE') found.push(cause)
  for (const { seq, sql, outcome, unreplayable } of recording.statements()) {
    const row = replayed.row(seq)
    // Its types have other oids in another database.
    if (/\bpg_type\b/.test(sql)) continue
    const [before, after] = [essence(outcome), row && essence(row.outcome)]
    if (unreplayable !== null || JSON.stringify(before) !== JSON.stringify(after))
      found.push([sql, unreplayable, before, after])
  }
  replayed.close()
  recording.close()
  expect(balances(facts.ledger)).toBe(true)
  return found
}

/** What says whether two outcomes are the same; oids of tables differ from database to database. */
function essence({ error, tag, rowCount, columns, digest, suspended, status }: Outcome): unknown {
  const sums = digest && Buffer.from(digest).toString('hex')
  return [error?.sqlstate, tag, rowCount, columns?.map(({ name }) => name), sums, suspended, status]
}
