/** What may differ between production and a replay: races that production ran, what rests on one that went another way, nothing else. */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { racesBetween } from '../../replayer/compare/races.js'
import type { Outcome } from '../../segment/outcome.js'
import { openRecording } from '../../segment/recording.js'
import { runOfRecording } from '../../segment/run-source.js'
import { NOTHING_CAME, Tape, unnamed } from '../run/tape.js'
import { factsOf, sourceOf } from './lab.js'

type Step = {
  readonly session: number
  readonly sql: string
  readonly at: readonly [number, number]
  readonly transaction?: number
  readonly production: Outcome
  /** As production, when not given. */
  readonly replay?: Outcome
  /** The replay gave up a wait of its. */
  readonly relaxed?: boolean
  /** When the replay did it, where that is not when production did. */
  readonly replayed?: readonly [number, number]
}

const made: string[] = []
afterAll(() => {
  for (const path of made) rmSync(dirname(path), { recursive: true })
})

const tag = (text: string): Outcome => ({ ...NOTHING_CAME, tag: text, rowCount: Number(/\d+$/.exec(text)?.[0] ?? 0) })
const refused: Outcome = { ...NOTHING_CAME, error: { sqlstate: '55P03', message: 'could not obtain lock' } }

const timesOf = ({ replayed, at }: Step) => ({ sentUs: (replayed ?? at)[0] * 1000, doneUs: (replayed ?? at)[1] * 1000 })

/** Letters of the statements that may differ. */
async function mayDiffer(steps: readonly Step[]): Promise<string> {
  const tape = new Tape()
  for (const [n, { session, sql, at, transaction, production }] of steps.entries())
    tape.send(session, {
      ...unnamed(sql),
      sentUs: at[0] * 1000,
      doneUs: at[1] * 1000,
      transaction: transaction ?? 100 + n,
      outcome: production,
    })
  const path = tape.write()
  made.push(path)
  const recording = openRecording(path)
  try {
    const before = runOfRecording(recording)
    const rows = [...before.rows()].map((row, n) => ({
      ...row,
      outcome: steps[n]!.replay ?? row.outcome,
      orderRelaxed: steps[n]!.relaxed === true,
      timing: { ...row.timing, ...timesOf(steps[n]!) },
    }))
    const orderRelaxed = rows.filter((row) => row.orderRelaxed).length
    const after = sourceOf(rows, {
      ...factsOf('baseline', rows.length, 0),
      orderRelaxed,
      recordingId: recording.manifest.id,
    })
    const races = await racesBetween({ before, after, recording })
    return [...races!]
      .sort((a, b) => a - b)
      .map((seq) => String.fromCharCode(64 + seq))
      .join('')
  } finally {
    recording.close()
  }
}

const write: Step = { session: 1, sql: 'UPDATE a SET n = 1', at: [0, 40], production: tag('UPDATE 1') }
const copy = (replay: string): Step => ({
  session: 2,
  sql: 'INSERT INTO b SELECT n FROM a',
  at: [10, 50],
  production: tag('INSERT 0 1'),
  replay: tag(replay),
})
const look = (table: string, at: Step['at'], replay: string): Step => ({
  session: 3,
  sql: `SELECT n FROM ${table}`,
  at,
  production: tag('SELECT 1'),
  replay: tag(replay),
})

describe('what rests on a race', () => {
  test('that went another way may differ', async () => {
    const steps = [write, copy('INSERT 0 2'), look('b', [60, 70], 'SELECT 2'), look('c', [80, 90], 'SELECT 2')]
    expect(await mayDiffer(steps)).toBe('BC')
  })
  test('that both decided alike may not', async () => {
    expect(await mayDiffer([write, copy('INSERT 0 1'), look('b', [60, 70], 'SELECT 2')])).toBe('B')
  })
  test('a transaction that ended otherwise for one: all that it wrote', async () => {
    const own = { session: 2, transaction: 1 }
    const inside = (replayed: Outcome, end: string): Step[] => [
      { ...own, sql: 'BEGIN', at: [0, 2], production: tag('BEGIN') },
      { ...own, sql: 'DELETE FROM c', at: [3, 5], production: tag('DELETE 1') },
      { ...write, at: [10, 40] },
      { ...own, sql: 'SELECT n FROM a FOR UPDATE NOWAIT', at: [20, 50], production: refused, replay: replayed },
      { ...own, sql: 'COMMIT', at: [51, 52], production: tag('ROLLBACK'), replay: tag(end) },
    ]
    const later = look('c', [60, 70], 'SELECT 0')
    expect(await mayDiffer([...inside(tag('SELECT 1'), 'COMMIT'), later])).toBe('DF')
    expect(await mayDiffer([...inside(refused, 'ROLLBACK'), later])).toBe('D')
  })
})

describe('where the replay gave up a wait', () => {
  const early: Step = { ...look('a', [0, 5], 'SELECT 2'), replayed: [30, 35] }
  const late: Step = { ...write, at: [10, 20], replayed: [10, 20], relaxed: true }
  const after = look('a', [40, 50], 'SELECT 2')

  test('who was to come first, came later and looks at what was written may differ', async () => {
    expect(await mayDiffer([early, late])).toBe('A')
  })
  test('who looks at something else may not, nor who had come in time, nor who came after it anyway', async () => {
    expect(await mayDiffer([{ ...early, sql: 'SELECT n FROM b' }, late])).toBe('')
    expect(await mayDiffer([{ ...early, replayed: [0, 5] }, late])).toBe('')
    expect(await mayDiffer([late, after])).toBe('')
  })
  test('nobody may where it waited', async () => {
    expect(await mayDiffer([early, { ...late, relaxed: false }])).toBe('')
  })
})

test('a race is nothing to excuse between two replays', async () => {
  const recording = openRecording(keep(new Tape().send(1, unnamed('SELECT 1')).write()))
  const run = sourceOf([], { ...factsOf('baseline', 0, 0), recordingId: recording.manifest.id })
  expect(await racesBetween({ before: run, after: run, recording })).toBeNull()
  recording.close()
})

function keep(path: string): string {
  made.push(path)
  return path
}
