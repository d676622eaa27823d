/**
 * Does a comparison find what a migration did wrong, say why, and nothing else? The shop and the ledger are recorded once; then each
 * fault is planted alone in a correct V2, the recording is replayed on it and compared. Faults that only the tables or the schema show
 * are looked for by `verify` after that replay. The correct migrations stand first: they must give no finding at all.
 *
 *     node dist/bench/faults.js [--statements 4000] [--scale 2] [--schemas shop,ledger] [--faults all|none|NAME,…] [--keep]
 *     node dist/bench/faults.js --schemas shop --on FOLDER      what an earlier one recorded and kept
 *
 * Right cause: one finding's sentence holds every expected word. Extra: findings of one instrument beside its first. Answers, rows and
 * schema are three instruments, and a page shows them apart: that a fault which tables and schema show is told of by more than one of them
 * is counted by itself (told again). Exit 1 unless all are found with their cause, no finding is extra, and the correct migrations give none.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import * as ledger from '../fixtures/ledger/ledger.js'
import { runSql } from '../fixtures/load.js'
import { GROUND_OF_SHOP, PLANTED_IN_LEDGER, PLANTED_IN_SHOP, type Planted } from '../fixtures/planted.js'
import * as shop from '../fixtures/shop/shop.js'
import { compareRuns } from '../replayer/compare/compare.js'
import { explainSlower } from '../replayer/compare/plans/explain-slower.js'
import { stateReport } from '../replayer/compare/state-report.js'
import { verifyTables } from '../replayer/compare/verify.js'
import { compareSchemas } from '../replayer/compare/verify-schema.js'
import { buildPlan } from '../replayer/plan/build.js'
import { replay } from '../replayer/run/replay.js'
import { withClient } from '../replayer/shadow/connect.js'
import { addPlans, createDiff, openDiff } from '../segment/diff-file.js'
import { openRecording } from '../segment/recording.js'
import { openRun } from '../segment/run-file.js'
import { setKeptStage, setStage } from './stage.js'
import { WORKLOADS } from './workloads.js'

const { values: flags } = parseArgs({
  options: {
    statements: { type: 'string', default: '4000' },
    scale: { type: 'string', default: '2' },
    sessions: { type: 'string', default: '8' },
    schemas: { type: 'string', default: 'shop,ledger' },
    faults: { type: 'string', default: 'all' },
    keep: { type: 'boolean', default: false },
    on: { type: 'string' },
  },
})
const say = (line: string) => console.log(line)

const SCHEMAS = {
  shop: { ground: GROUND_OF_SHOP, fixture: shop, planted: [...ofFixture(shop), ...PLANTED_IN_SHOP] },
  ledger: { ground: '', fixture: ledger, planted: [...ofFixture(ledger), ...PLANTED_IN_LEDGER] },
} as const

/** Kinds of state findings that are about what tables hold. */
const ROWS: ReadonlySet<string> = new Set(['rows', 'table_missing', 'column_missing', 'sequence_behind'])

const total = { planted: 0, found: 0, caused: 0, extra: 0, toldAgain: 0, falseAlarms: 0 }
for (const name of flags.schemas.split(',')) {
  if (name !== 'shop' && name !== 'ledger') throw new Error(`there is no schema ${name}; schemas are: shop, ledger`)
  await rehearse(name)
}
const of = (count: number) => `${count}/${total.planted}`
say(`correct migrations: ${total.falseAlarms} findings`)
say(
  `found ${of(total.found)} · right cause ${of(total.caused)} · extra findings ${total.extra} · told again by another instrument ${total.toldAgain}`,
)
process.exitCode = total.caused === total.planted && total.extra + total.falseAlarms === 0 ? 0 : 1

/** Faults that the fixtures keep as files: all of them show in traffic. */
function ofFixture({ FAULTS, faultsNamed }: Pick<typeof shop, 'FAULTS' | 'faultsNamed'>): readonly Planted[] {
  return faultsNamed(FAULTS.map(({ name }) => name)).map(({ name, description, sql, expected }) => ({
    name,
    description,
    sql,
    shownBy: 'traffic',
    causeWords: expected.causeWords,
  }))
}

async function rehearse(name: keyof typeof SCHEMAS): Promise<void> {
  const { fixture, planted, ground } = SCHEMAS[name]
  const size = {
    statements: Number(flags.statements),
    sessions: Number(flags.sessions),
    scale: Number(flags.scale),
    seed: 1,
  }
  const workload = WORKLOADS[name]!(size)
  const schemaPath = join(mkdtempSync(join(tmpdir(), 'pgr-ground-')), 'v1.sql')
  writeFileSync(schemaPath, `${readFileSync(workload.schemaPath, 'utf8')}\n${ground}\n`)
  const stage = flags.on === undefined ? await setStage({ ...workload, schemaPath }, say) : await setKeptStage(flags.on)
  rmSync(dirname(schemaPath), { recursive: true })
  const recording = openRecording(stage.recording)
  try {
    const { plan } = await buildPlan(recording)
    const replayed = async (database: string, target: string) => {
      const out = join(stage.folder, `${database}.run`)
      await replay({ recording: stage.recording, plan, target, out, speed: 'max', workers: 2, force: true })
      return openRun(out)
    }
    await replayed('v1_warm', await stage.shadow('v1_warm'))
    const noise = await replayed('v1_noise', await stage.shadow('v1_noise'))
    const v1 = await stage.shadow('v1')
    const before = await replayed('v1', v1)
    const migrate = readFileSync(fixture.migratePath, 'utf8')

    const causesOn = async (database: string, sql: string | null) => {
      const target = await stage.shadow(database)
      await runSql(target, migrate)
      if (sql !== null) await runSql(target, sql)
      const after = await replayed(database, target)
      const path = join(stage.folder, `${database}.diff`)
      rmSync(path, { force: true })
      compareRuns({ before, after, noise, recording, out: createDiff(path), madeBy: 'bench' })
      await explainPlans(path, v1, target, recording.manifest.catalog.searchPath)
      const diff = openDiff(path)
      const traffic = diff.findings().map(({ cause, count, columns }) => `${columns.join(', ')}: ${cause} (${count})`)
      diff.close()
      const startedAtMs = { before: before.facts.startedAtMs, after: after.facts.startedAtMs }
      after.close()
      const state = async () => {
        const tables = await verifyTables({ beforeUrl: v1, afterUrl: target, startedAtMs })
        const schema = await withClient(v1, (a) => withClient(target, (b) => compareSchemas(a, b)))
        const { findings } = stateReport(tables, schema, { checkedAtMs: Date.now(), momentsLeftOut: true })
        const faults = findings.filter(({ fault }) => fault)
        const ofRows = faults.filter(({ kind }) => ROWS.has(kind))
        return [ofRows, faults.filter((one) => !ofRows.includes(one))].map((some) =>
          some.map(({ sentence }) => sentence),
        )
      }
      return { traffic, state }
    }

    const correct = await causesOn('v2', null)
    const alarms = [correct.traffic, ...(await correct.state())].flat()
    total.falseAlarms += alarms.length
    say(`${name}, correct migration: ${alarms.length} findings${alarms.map((one) => `\n          ${one}`).join('')}`)

    const chosen =
      flags.faults === 'all' ? planted : planted.filter((fault) => flags.faults.split(',').includes(fault.name))
    for (const fault of chosen) {
      const database = `v2_${fault.name.replaceAll('-', '_')}`
      try {
        const { traffic, state } = await causesOn(database, fault.sql)
        judge(fault, [traffic, ...(fault.shownBy === 'state' ? await state() : [])])
      } catch (error) {
        // The others go on; it counts as not found.
        total.planted += 1
        say(`FAILED  ${fault.name}: ${(error as Error).message.slice(0, 200)}`)
      }
      await stage.drop(database)
    }
  } finally {
    recording.close()
    if (flags.keep) say(`kept: ${stage.folder}`)
    await stage.close({ keep: flags.keep })
  }
}

async function explainPlans(path: string, beforeUrl: string, afterUrl: string, searchPath: readonly string[]) {
  const diff = openDiff(path)
  try {
    const { plans, reread } = await explainSlower({ diff, beforeUrl, afterUrl, searchPath })
    addPlans(path, plans, reread)
  } finally {
    diff.close()
  }
}

/** `instruments`: what each of them found. */
function judge({ name, description, causeWords }: Planted, instruments: readonly (readonly string[])[]): void {
  const said = instruments.flat()
  const telling = said.find((one) => causeWords.every((word) => one.toLowerCase().includes(word.toLowerCase())))
  const extra = instruments.reduce((sum, some) => sum + Math.max(0, some.length - 1), 0)
  total.planted += 1
  total.toldAgain += Math.max(0, instruments.filter((some) => some.length > 0).length - 1)
  total.found += Number(said.length > 0)
  total.caused += Number(telling !== undefined)
  total.extra += extra
  const verdict = said.length === 0 ? 'MISSED' : telling === undefined ? 'VAGUE ' : 'found '
  say(`${verdict}  ${name} (${description}): ${telling ?? said[0] ?? 'no findings'}`.slice(0, 300))
  for (const other of said.filter((one) => one !== (telling ?? said[0]))) say(`          and ${other.slice(0, 200)}`)
}
