/**
 * A plan as a file: one line of JSON that says what follows, then the arrays as they lie in memory, under a SHA-256.
 *
 * Anything that is not exactly what was written (cut short, changed, of another key or build) reads as null: a plan can be made again,
 * a wrong one must not be followed.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { Plan } from '../run/plan-shape.js'
import type { Parallelism } from './explain.js'

export type PlanContent = {
  readonly plan: Plan
  /** Per statement: its place in the recording, and whether production ran a race there (see `Waits`). */
  readonly seq: Float64Array
  readonly ambiguous: Uint8Array
  readonly facts: Parallelism
}

type Head = {
  readonly key: string
  readonly sha256: string
  readonly statements: number
  readonly sessions: number
  readonly waits: number
  readonly reenacted: number
  readonly facts: Parallelism
}

const HEAD_BYTES_MAX = 1 << 20
const NEWLINE = 10
const NONE = new Int32Array(0)

export function writePlan(path: string, key: string, content: PlanContent): void {
  const { plan, facts } = content
  const arrays = arraysOf(content)
  const { statementCount: statements, sessionCount: sessions, reenacted = NONE } = plan
  const hash = createHash('sha256')
  const facing = JSON.stringify({
    key,
    statements,
    sessions,
    waits: plan.waitKind.length,
    reenacted: reenacted.length,
    facts,
  })
  hash.update(facing)
  for (const array of arrays) hash.update(bytesOf(array))
  const head = `${JSON.stringify({ ...JSON.parse(facing), sha256: hash.digest('hex') })}\n`
  const file = openSync(path, 'wx', 0o600)
  try {
    writeAll(file, Buffer.from(head))
    for (const array of arrays) writeAll(file, bytesOf(array))
  } finally {
    closeSync(file)
  }
}

export function readPlan(path: string, key: string): PlanContent | null {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return null
  }
  try {
    return content(file, key)
  } catch {
    return null
  } finally {
    closeSync(file)
  }
}

function content(file: number, key: string): PlanContent | null {
  const start = Buffer.alloc(Math.min(HEAD_BYTES_MAX, fstatSync(file).size))
  readAll(file, start, 0)
  const headBytes = start.indexOf(NEWLINE) + 1
  if (headBytes === 0) return null
  const { sha256, ...facing } = JSON.parse(start.toString('utf8', 0, headBytes)) as Head
  if (facing.key !== key) return null
  const found = empty(facing)
  const arrays = arraysOf(found)
  if (fstatSync(file).size !== headBytes + arrays.reduce((sum, array) => sum + array.byteLength, 0)) return null
  const hash = createHash('sha256').update(JSON.stringify(facing))
  let at = headBytes
  for (const array of arrays) at += readHashed(file, bytesOf(array), at, hash)
  return hash.digest('hex') === sha256 ? found : null
}

/** Workers read the plan where it lies, so it lies in shared memory. */
function empty({ statements, sessions, waits, reenacted, facts }: Omit<Head, 'sha256'>): PlanContent {
  const shared = (items: number, bytes: number) => new SharedArrayBuffer(items * bytes)
  return {
    plan: {
      mode: 'causal',
      statementCount: statements,
      sessionCount: sessions,
      session: new Int32Array(shared(statements, 4)),
      ordinal: new Int32Array(shared(statements, 4)),
      waitStart: new Uint32Array(shared(statements + 1, 4)),
      waitSession: new Int32Array(shared(waits, 4)),
      waitOrdinal: new Int32Array(shared(waits, 4)),
      waitKind: new Uint8Array(shared(waits, 1)),
      reenacted: new Int32Array(shared(reenacted, 4)),
    },
    seq: new Float64Array(statements),
    ambiguous: new Uint8Array(statements),
    facts,
  }
}

type Numbers = Float64Array | Int32Array | Uint32Array | Uint8Array

function arraysOf({ plan, seq, ambiguous }: PlanContent): Numbers[] {
  const { session, ordinal, waitStart, waitSession, waitOrdinal, waitKind, reenacted = NONE } = plan
  return [seq, session, ordinal, waitStart, waitSession, waitOrdinal, waitKind, reenacted, ambiguous]
}

function bytesOf(array: Numbers): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at)
}

function readAll(file: number, into: Uint8Array, from: number): void {
  for (let at = 0; at < into.byteLength; ) {
    const read = readSync(file, into, at, into.byteLength - at, from + at)
    if (read === 0) throw new Error('cut short')
    at += read
  }
}

function readHashed(file: number, into: Uint8Array, from: number, hash: Hash): number {
  readAll(file, into, from)
  hash.update(into)
  return into.byteLength
}
