/**
 * Does the masker keep up with 30,000 statements a second on one core, two text parameters and five result cells each?
 *
 * Three kinds of application: one sends parameters, one puts literals into the text, one never sends the same value twice (no
 * token is hot). `node dist/bench/privacy.js [--json]`.
 */

import { readKey } from '../privacy/key.js'
import { createMasker } from '../privacy/masker.js'
import { benchCatalog, benchPolicy } from './privacy-shop.js'

type Outcome = { readonly workload: string; readonly statements: number; readonly perSecond: number }

const SECONDS = 2
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

  const statement = (at: number): void => {
    const { facts } = masker.sql(PARAMETERIZED)
    masker.parameters(facts, [`user${at}@example.com`, `Person ${at}`], [25, 25])
    masker.rowMasker(columns, facts)(row(at))
  }
  const literal = (at: number): void => {
    const { facts } = masker.sql(
      `SELECT id, email, full_name, city, note FROM users WHERE email = 'user${at}@example.com' AND full_name = 'Person ${at}' /* trace ${at} */`,
    )
    masker.rowMasker(columns, facts)(row(at))
  }
  const outcomes = [
    measure('parameters, 5,000 people', (at) => statement(at % 5000)),
    measure('literals, 5,000 people', (at) => literal(at % 5000)),
    measure('parameters, everybody new', statement),
  ]
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ bench: 'privacy', node: process.version, outcomes }))
  else
    for (const { workload, perSecond } of outcomes)
      console.log(`${workload.padEnd(28)} ${Math.round(perSecond).toLocaleString('en').padStart(9)} statements/s`)
}

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
  let statements = 0
  while (performance.now() - started < SECONDS * 1000) {
    for (let round = 0; round < 500; round++) run(20_000 + statements++)
  }
  return { workload, statements, perSecond: statements / ((performance.now() - started) / 1000) }
}

await main()
