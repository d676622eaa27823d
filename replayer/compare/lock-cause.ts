/**
 * Locks on whole tables that statements wait for on the second side and did not on the first: a trigger that locks too much, a
 * migration's lock that outlives it. Waits for rows depend on who came first, and are no finding. Pure.
 */
import type { LockFacts, LockWait } from '../../segment/locks.js'
import { type Cause, sameOrNothing } from './causes/cause.js'

export const OF_TABLE_LOCKS = 'lock.table'

export type TableWaits = { readonly cause: Cause; readonly waits: number; readonly fingerprints: readonly string[] }

/** Of table locks, the weakest first. */
const STRENGTHS = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]
const WAITS_MIN = 3
const TOTAL_MS_MIN = 20
/** So many times what the first side's runs waited for tables in all. */
const TIMES_MORE = 5

/** `baselines`: the first run, and the noise run. */
export function newTableWaits(
  baselines: readonly (LockFacts | undefined)[],
  after: LockFacts | undefined,
): readonly TableWaits[] {
  // Without a look at the first side nothing is known to be new.
  if (after === undefined || baselines.length === 0 || baselines.some((facts) => facts === undefined)) return []
  const usualMs = Math.max(...baselines.map((facts) => total(ofTables(facts!))))
  const byTable = new Map<string, LockWait[]>()
  for (const wait of ofTables(after)) byTable.set(wait.table, [...(byTable.get(wait.table) ?? []), wait])
  return [...byTable].flatMap(([table, waits]): TableWaits[] => {
    const count = waits.reduce((sum, one) => sum + one.waits, 0)
    const ms = total(waits)
    if (count < WAITS_MIN || ms < TOTAL_MS_MIN || ms < usualMs * TIMES_MORE) return []
    const fingerprints = [...new Set(waits.map(({ waiting }) => waiting.fingerprint).filter((one) => one !== ''))]
    return [{ cause: cause(table, waits, count, ms), waits: count, fingerprints }]
  })
}

/** Of recorded statements: that what was injected had to wait is told with it. */
function ofTables({ waits }: LockFacts): readonly LockWait[] {
  return waits.filter(({ lockType, table, waiting }) => lockType === 'relation' && table !== '' && !waiting.injected)
}

function total(waits: readonly LockWait[]): number {
  return waits.reduce((sum, { totalMs }) => sum + totalMs, 0)
}

function cause(table: string, waits: readonly LockWait[], count: number, ms: number): Cause {
  const held = STRENGTHS.findLast((mode) => waits.some(({ heldMode }) => heldMode === mode)) ?? ''
  const behind = waits.every(({ blocking }) => blocking.injected) ? ' behind what was injected' : ''
  const words = `statements wait for a lock on all of ${table}${held === '' ? '' : ` (${inWords(held)})`}${behind}`
  return {
    explainer: OF_TABLE_LOCKS,
    subject: table,
    detail: '',
    columns: [],
    sentence: () => `${words}, which nobody waited for before: seen ${count} times, ${Math.round(ms)} ms in all`,
    merge: sameOrNothing,
  }
}

/** `AccessExclusiveLock` as LOCK TABLE spells it. */
function inWords(mode: string): string {
  return mode
    .replace(/Lock$/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase()
}
