/**
 * A snapshot that is not whole yet: the folder beside its place, and what of it an interrupted attempt has finished.
 *
 * A new attempt shows a new moment, so a table of the old one may stay only where nothing has changed since: every row that is
 * visible now was made by a transaction that was over before the old snapshot began, and there are as many as there were. A row that was
 * changed has a new version, one that was removed is missing in the count. That costs a look at the rows' heads, not at their values.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { EXIT, HarnessError } from '../../../base/errors.js'
import type { PrivacyFacts } from '../../../segment/manifest.js'
import type { TableFacts } from './format.js'

/** What must be the same for anything to be kept. */
export type DraftOf = PrivacyFacts & {
  readonly systemIdentifier: string
  readonly database: string
  /** Of the schema: masks follow from it. */
  readonly catalogHash: string
}

/** A table that was finished, and in which snapshot. */
export type Finished = {
  readonly oid: number
  readonly of: DraftOf
  /** `xmin:xmax:xip,…` of that attempt. */
  readonly snapshot: string
  readonly facts: TableFacts
}

export type Draft = { readonly folder: string; readonly finished: readonly Finished[] }

const LOCK = 'draft.json'
const JOURNAL = 'tables.jsonl'

/** One attempt at a time. Without `resume` an earlier one is thrown away. */
export function openDraft(out: string, resume: boolean, isAlive: (pid: number) => boolean): Draft {
  const folder = `${out}.part`
  if (existsSync(folder)) {
    const lock = readLock(folder)
    if (lock === null)
      throw new HarnessError({
        code: 'OUT_EXISTS',
        message: `will not overwrite ${folder}`,
        detail: 'a snapshot is written there before it gets its name, and something else is in its place',
        hint: 'Name another folder with --out, or move that one away.',
        exit: EXIT.usage,
      })
    if (lock !== process.pid && isAlive(lock))
      throw new HarnessError({
        code: 'SNAPSHOT_IN_PROGRESS',
        message: `another snapshot is being written to ${out}`,
        detail: `process ${lock} works in ${folder}`,
        hint: 'Wait for it, or name another folder with --out.',
      })
    if (!resume) rmSync(folder, { recursive: true, force: true })
  }
  mkdirSync(dirname(out), { recursive: true })
  mkdirSync(join(folder, 'data'), { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, LOCK), JSON.stringify({ pid: process.pid }), { mode: 0o600 })
  return { folder, finished: readJournal(folder) }
}

function readLock(folder: string): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(join(folder, LOCK), 'utf8')) as { pid?: unknown }
    return typeof pid === 'number' ? pid : null
  } catch {
    return null
  }
}

/** The last line may have been cut off. */
function readJournal(folder: string): Finished[] {
  const path = join(folder, JOURNAL)
  if (!existsSync(path)) return []
  const byOid = new Map<number, Finished>()
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    try {
      const one = JSON.parse(line) as Finished
      byOid.set(one.oid, one)
    } catch {
      // Cut off, or the empty rest after the last line.
    }
  }
  return [...byOid.values()]
}

export function noteFinished(folder: string, finished: Finished): void {
  appendFileSync(join(folder, JOURNAL), `${JSON.stringify(finished)}\n`, { mode: 0o600 })
}

/** What may be kept, if its rows are the same. Another database, policy, key or schema is a mistake, or begins anew. */
export function keepable(draft: Draft, now: DraftOf): ReadonlyMap<number, Finished> {
  const [first] = draft.finished
  if (first !== undefined) {
    const { systemIdentifier, database, policyHash, keyFingerprint } = first.of
    const what =
      systemIdentifier !== now.systemIdentifier || database !== now.database
        ? 'it was of another database'
        : policyHash !== now.policyHash
          ? 'it was masked by another policy'
          : keyFingerprint !== now.keyFingerprint
            ? 'it was masked with another key'
            : null
    if (what !== null)
      throw new HarnessError({
        code: 'CANNOT_RESUME',
        message: `cannot go on with the snapshot in ${draft.folder}`,
        detail: what,
        hint: 'Give what the interrupted command was given, or leave out --resume to begin anew.',
        exit: EXIT.usage,
      })
  }
  return new Map(draft.finished.filter(({ of }) => of.catalogHash === now.catalogHash).map((one) => [one.oid, one]))
}

/** The folder is about to get its name. */
export function closeDraft({ folder }: Draft): void {
  rmSync(join(folder, LOCK))
  rmSync(join(folder, JOURNAL), { force: true })
}

/** Of an attempt that failed: what is finished stays, and how many tables that are. */
export function leaveDraft({ folder }: Draft): number {
  const count = readJournal(folder).length
  if (count === 0) rmSync(folder, { recursive: true, force: true })
  else writeFileSync(join(folder, LOCK), JSON.stringify({ pid: 0 }), { mode: 0o600 })
  return count
}
