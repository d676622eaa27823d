/**
 * The gate's line about earlier rehearsals: one that passes may be luck, seven in a row are not.
 *
 * An INVALID rehearsal neither counts nor ends a row: it says nothing about the candidate. Judging the same diff again changes
 * nothing, so a job can be repeated.
 */
import { z } from 'zod'
import { EXIT, HarnessError } from '../base/errors.js'
import { counted } from './format.js'
import type { GateLine, Verdict } from './gate.js'

/** One judged diff; its verdict is the one without regard to the row. */
export type PastRun = { readonly diffId: string; readonly comparedAtMs: number; readonly verdict: Verdict }

const RUNS_KEPT = 1_000

const file = z.object({
  format: z.literal('pgrehearse gate history'),
  formatVersion: z.literal(1),
  runs: z.array(
    z.object({
      diffId: z.string(),
      comparedAtMs: z.number(),
      verdict: z.enum(['PASS', 'FAIL', 'INVALID']),
    }),
  ),
})

export function streakLine(run: PastRun, history: readonly PastRun[], runsMin: number): GateLine {
  const row = passesInARow([...earlier(run, history), run])
  const fail = row < runsMin
  return {
    id: 'streak.runs',
    group: 'history',
    title: 'Rehearsals passed in a row',
    unit: 'count',
    bound: 'min',
    threshold: runsMin,
    actual: row,
    interval: null,
    outcome: fail ? 'fail' : 'pass',
    explanation: fail
      ? `${counted(row, 'rehearsal')} passed in a row so far, ${runsMin} needed.`
      : `${counted(row, 'rehearsal')} passed in a row.`,
    findingIds: [],
    fingerprints: [],
  }
}

function passesInARow(runs: readonly PastRun[]): number {
  const judged = runs.filter(({ verdict }) => verdict !== 'INVALID')
  const lastFail = judged.findLastIndex(({ verdict }) => verdict === 'FAIL')
  return judged.length - 1 - lastFail
}

function earlier(run: PastRun, history: readonly PastRun[]): PastRun[] {
  return history
    .filter(({ diffId, comparedAtMs }) => diffId !== run.diffId && comparedAtMs <= run.comparedAtMs)
    .sort((a, b) => a.comparedAtMs - b.comparedAtMs)
}

/** The history with this run in it, once. */
export function remembered(run: PastRun, history: readonly PastRun[]): string {
  const runs = [...history.filter(({ diffId }) => diffId !== run.diffId), run]
    .sort((a, b) => a.comparedAtMs - b.comparedAtMs)
    .slice(-RUNS_KEPT)
  return `${JSON.stringify({ format: 'pgrehearse gate history', formatVersion: 1, runs }, null, 2)}\n`
}

/** `path` only names the file in messages. */
export function parseHistory(text: string, path: string): readonly PastRun[] {
  const found = file.safeParse(asJson(text))
  if (found.success) return found.data.runs
  throw new HarnessError({
    code: 'GATE_HISTORY_INVALID',
    message: `cannot use the gate's history ${path}`,
    detail: 'it is not what `pgrehearse gate` writes.',
    hint: 'Restore the file; or remove it, and the row begins anew.',
    exit: EXIT.usage,
  })
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
