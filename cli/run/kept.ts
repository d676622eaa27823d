/**
 * What a folder of results remembers of the steps that were done there, and who works in it at the moment.
 */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../../base/errors.js'
import { writeAtomically } from '../../segment/files.js'
import type { Parts, StepName } from './keys.js'

const FORMAT = 'pgrehearse rehearsal'
const FORMAT_VERSION = 1

export type KeptStep = {
  readonly key: string
  readonly parts: Parts
  readonly finishedAtMs: number
  readonly elapsedMs: number
  /** A golden or a shadow that the step made. */
  readonly database?: string
  readonly file?: string
}

export type Kept = {
  readonly steps: Readonly<Partial<Record<StepName, KeptStep>>>
  /** Databases that a step was about to make: what is found under these names is ours, whole or not. */
  readonly begun: readonly string[]
}

const NOTHING: Kept = { steps: {}, begun: [] }

function keptPath(out: string): string {
  return join(out, 'state.json')
}

export function readKept(out: string): Kept {
  const path = keptPath(out)
  if (!existsSync(path)) return NOTHING
  let found: Partial<Kept> & { format?: unknown; formatVersion?: unknown }
  try {
    found = JSON.parse(readFileSync(path, 'utf8')) as typeof found
  } catch {
    throw unusable(path, 'it is no JSON')
  }
  if (found.format !== FORMAT) throw unusable(path, 'something else wrote it')
  if (found.formatVersion !== FORMAT_VERSION) throw unusable(path, `it has format ${String(found.formatVersion)}`)
  return { steps: found.steps ?? {}, begun: found.begun ?? [] }
}

export function writeKept(out: string, kept: Kept): void {
  const text = JSON.stringify({ format: FORMAT, formatVersion: FORMAT_VERSION, ...kept }, null, 2)
  writeAtomically(keptPath(out), `${text}\n`)
}

function unusable(path: string, detail: string): HarnessError {
  return new HarnessError({
    code: 'REHEARSAL_UNREADABLE',
    message: `cannot go on from ${path}`,
    detail: `${detail}.`,
    hint: 'Remove the file to begin anew, or name another folder with `out`.',
    exit: EXIT.usage,
  })
}

/** One run at a time; returns how to let go. A lock whose holder has died counts for nothing. */
export function lockFolder(out: string, pid: number, isAlive: (pid: number) => boolean): () => void {
  mkdirSync(out, { recursive: true })
  const path = join(out, 'run.lock')
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, `${pid}\n`)
      closeSync(file)
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = Number(readFileSync(path, 'utf8'))
    if (Number.isInteger(holder) && holder > 0 && holder !== pid && isAlive(holder)) {
      throw new HarnessError({
        code: 'REHEARSAL_IN_USE',
        message: `another run works in ${out}`,
        detail: `process ${holder} holds ${path}.`,
        hint: 'Wait for it, or give this one another folder with `out`.',
      })
    }
    rmSync(path, { force: true })
  }
  throw new HarnessError({ code: 'REHEARSAL_IN_USE', message: `another run works in ${out}`, hint: 'Try again.' })
}
