/**
 * Does the masker keep up with 30,000 statements a second on one core, two text parameters and five result cells each?
 *
 * Four kinds of made-up application, and with `--shop` the shop's recorded traffic: one sends parameters, one puts literals into the text, one never sends the same value twice (no
 * token is hot), one does so with literals. What counts is the processor's time, of all threads of the process (the garbage collector has
 * its own), because others may be on the machine. `node dist/bench/privacy.js [--shop] [--json]`; exits 1 below 30,000 a second with parameters.
 */

import { readKey } from '../privacy/key.js'
import { createMasker, type RowMask } from '../privacy/masker.js'
import type { SqlFacts } from '../privacy/statement.js'
import { benchCatalog, benchPolicy } from './privacy-shop.js'
import { hotShare, shopTraffic } from './privacy-traffic.js'

type Outcome = {
  readonly workload: string
  readonly statements: number
  /** By the processor's time: all of it, and the half of the rounds that was the least disturbed. */
  readonly perSecond: number
  readonly perSecondUndisturbed: number
  /** By the clock. */
  readonly perSecondElapsed: number
}

const GOAL_PER_SECOND = 30_000
const SECONDS = 2
const ROUND = 2_000
const PARAMETERIZED = 'SELECT id, email, full_name, city, note FROM users WHERE email = $1 AND full_name = $2'

async function main(): Promise<void> {
  const masker = await createMasker({ key: readKey('00'.repeat(32)), policy: benchPolicy, catalog: benchCatalog })
  const columns = [20, 25, 25, 25, 25].map((typeOid, at) => ({
    name: ['id', 'email', 'full_name', 'city', 'note'][at]!,
    typeOid,
    typmod: -1,
    tableOid: 20_000,
    attnum: at + 1,
  }))

  /** One for each text, as the recorder keeps them. */
  const rowMasks = new WeakMap<SqlFacts, RowMask>()
  const rowMask = (facts: SqlFacts): RowMask => {
    const known = rowMasks.get(facts)
    if (known !== undefined) return known
    const made = masker.rowMasker(columns, facts)
    rowMasks.set(facts, made)
    return made
  }
  const statement = (at: number): void => {
    const { facts } = masker.sql(PARAMETERIZED)
    masker.parameters(facts, [`user${at}@example.com`, `Person ${at}`], [25, 25])
    rowMask(facts)(row(at))
  }
  const literal = (at: number): void => {
    const { facts } = masker.sql(
      `SELECT id, email, full_name, city, note FROM users WHERE email = 'user${at}@example.com' AND full_name = 'Person ${at}' /* trace ${at} */`,
    )
    rowMask(facts)(row(at))
  }
  const outcomes = [
    measure('parameters, 5,000 people', (at) => statement(at % 5000)),
    measure('literals, 5,000 people', (at) => literal(at % 5000)),
    measure('parameters, everybody new', statement),
    measure('literals, everybody new', literal),
  ]
  if (process.argv.includes('--shop')) outcomes.push(await shop())
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ bench: 'privacy', node: process.version, outcomes }))
  else
    for (const { workload, perSecond, perSecondUndisturbed, perSecondElapsed } of outcomes)
      console.log(
        `${workload.padEnd(28)} ${shown(perSecond)} statements a second of processor (${shown(perSecondUndisturbed)} undisturbed, ${shown(perSecondElapsed)} by the clock)`,
      )
  if (outcomes.some(({ workload, perSecond }) => workload.startsWith('parameters') && perSecond < GOAL_PER_SECOND))
    process.exitCode = 1
}

/** What the shop says, again and again: its texts, its parameters, its rows. */
async function shop(): Promise<Outcome> {
  const { catalog, policy, statements } = await shopTraffic()
  const masker = await createMasker({ key: readKey('00'.repeat(32)), policy, catalog })
  const rowMasks = new WeakMap<SqlFacts, RowMask>()
  const cells = statements.reduce((sum, { outcome }) => sum + (outcome.rows?.flat().length ?? 0), 0)
  const values = statements.reduce((sum, { parameters }) => sum + parameters.length, 0)
  const each = (count: number): string => (count / statements.length).toFixed(1)
  const hot = Math.round(100 * hotShare(statements))
  const name = `the shop: ${each(values)} parameters, ${each(cells)} cells, ${hot} % seen before`
  return measure(name, (at) => {
    const { sql, parameters, parameterTypes, outcome } = statements[at % statements.length]!
    const { facts } = masker.sql(sql)
    masker.parameters(facts, parameters, parameterTypes)
    if (outcome.columns === null || outcome.rows === null) return
    let mask = rowMasks.get(facts)
    if (mask === undefined) {
      mask = masker.rowMasker(outcome.columns, facts)
      rowMasks.set(facts, mask)
    }
    for (const row of outcome.rows) mask(row)
  })
}

const shown = (perSecond: number): string => Math.round(perSecond).toLocaleString('en').padStart(9)

function row(at: number): readonly string[] {
  return [
    String(at),
    `user${at}@example.com`,
    `Person ${at}`,
    `City ${at % 300}`,
    `please call back in the afternoon, customer ${at}`,
  ]
}

function measure(workload: string, run: (at: number) => void): Outcome {
  for (let at = 0; at < 20_000; at++) run(at)
  const started = performance.now()
  const rounds: number[] = []
  let statements = 0
  while (performance.now() - started < SECONDS * 1000) {
    const before = process.cpuUsage()
    for (let round = 0; round < ROUND; round++) run(20_000 + statements++)
    const { user, system } = process.cpuUsage(before)
    rounds.push(user + system)
  }
  const elapsedMs = performance.now() - started
  rounds.sort((a, b) => a - b)
  const rate = (some: readonly number[]): number =>
    (some.length * ROUND * 1e6) / some.reduce((sum, microseconds) => sum + microseconds, 0)
  return {
    workload,
    statements,
    perSecond: rate(rounds),
    perSecondUndisturbed: rate(rounds.slice(0, Math.ceil(rounds.length / 2))),
    perSecondElapsed: (statements * 1000) / elapsedMs,
  }
}

await main()
