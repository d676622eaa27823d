/**
 * A real rehearsal in which sessions block each other: what was recorded is replayed twice, the second time with an ALTER TABLE run into
 * it. Somebody reads the table and stays in the transaction; ALTER TABLE waits for them, and everybody else waits for ALTER TABLE.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compareRuns } from '../../replayer/compare/compare.js'
import { prepareInjection } from '../../replayer/run/inject/injector.js'
import { parseInjection } from '../../replayer/run/inject/moment.js'
import { replay } from '../../replayer/run/replay.js'
import type { ReportModel } from '../../reports/model.js'
import { renderPage } from '../../reports/page/page.js'
import { createDiff, openDiff } from '../../segment/diff-file.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { fingerprint, loadParser } from '../../sql/parse.js'
import { planOf } from '../run/support.js'
import { simple, Tape } from '../run/tape.js'
import { createDatabase } from '../support/database.js'
import { modelOf } from './build.js'

const SCHEMA = [
  'CREATE TABLE item (id int PRIMARY KEY, name text, stock int NOT NULL DEFAULT 10)',
  "INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 100) i",
]

/** Session 1 stays in a transaction for two seconds, sessions 2 and 3 only look; then 4 and 5 want the same row. */
function recorded(): Tape {
  const tape = new Tape()
  const at = (ms: number) => 1_000_000 + ms * 1000
  const [open, holder, waiter] = [800_000, 800_001, 800_002]
  tape.send(1, { ...simple('BEGIN'), transaction: open, sentUs: at(200) })
  tape.send(1, { ...simple('SELECT sum(stock) FROM item'), transaction: open, sentUs: at(210) })
  for (let ms = 0; ms < 2600; ms += 40)
    tape.send(2 + ((ms / 40) % 2), {
      ...simple(`SELECT name FROM item WHERE id = ${1 + ((ms / 40) % 9)}`),
      sentUs: at(ms),
    })
  tape.send(1, { ...simple('UPDATE item SET stock = stock - 1 WHERE id = 50'), transaction: open, sentUs: at(2200) })
  tape.send(1, { ...simple('COMMIT'), transaction: open, sentUs: at(2210) })
  tape.send(4, { ...simple('BEGIN'), transaction: holder, sentUs: at(2700) })
  tape.send(4, { ...simple('UPDATE item SET stock = 7 WHERE id = 1'), transaction: holder, sentUs: at(2710) })
  tape.send(5, { ...simple('BEGIN'), transaction: waiter, sentUs: at(2800) })
  tape.send(5, { ...simple('UPDATE item SET stock = stock - 2 WHERE id = 1'), transaction: waiter, sentUs: at(2810) })
  tape.send(4, { ...simple('COMMIT'), transaction: holder, sentUs: at(4200) })
  tape.send(5, { ...simple('COMMIT'), transaction: waiter, sentUs: at(4300) })
  for (const one of tape.statements) Object.assign(one, { fingerprint: fingerprint(one.sql) })
  tape.statements.sort((a, b) => a.sentUs - b.sentUs)
  return tape
}

export async function lockedRehearsal(): Promise<{ readonly model: ReportModel; readonly html: string }> {
  await loadParser()
  const recording = recorded().write()
  const folder = dirname(recording)
  const migration = join(folder, 'V7.sql')
  writeFileSync(migration, 'ALTER TABLE item ADD COLUMN note text;\n')
  try {
    const runs = { before: join(folder, 'v1.run'), after: join(folder, 'v2.run') }
    await replayed(recording, runs.before, 'baseline', [])
    await replayed(recording, runs.after, 'candidate', [`500ms:${migration}`])
    const [before, after, source] = [openRun(runs.before), openRun(runs.after), openRecording(recording)]
    const path = join(folder, 'locked.diff')
    compareRuns({ before, after, recording: source, out: createDiff(path), madeBy: 'pgrehearse test' })
    for (const one of [before, after, source]) one.close()
    const diff = openDiff(path)
    const model = modelOf(diff)
    const html = renderPage(model, (findingId) => diff.discrepancies({ findingId })).join('')
    diff.close()
    return { model, html }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function replayed(
  recording: string,
  out: string,
  role: 'baseline' | 'candidate',
  injections: readonly string[],
): Promise<void> {
  const database = await createDatabase(...SCHEMA)
  try {
    const plan = planOf(recording)
    const prepared = await Promise.all(injections.map((text) => prepareInjection(parseInjection(text))))
    await replay({ recording, plan, target: database.url, out, role, speed: 1, workers: 2, injections: prepared })
  } finally {
    await database.drop()
  }
}
