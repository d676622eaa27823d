/**
 * Run rows as one transferable buffer, from the workers that replay to the thread that writes.
 *
 * A structured clone of rows costs several times the insert; this codec writes what a row has and no more. Column sets stand once per
 * buffer. The layout lives only between threads of one process, so it carries no version.
 *
 *   u32 rows, u32 column sets, each set as text (JSON); then per row:
 *   f64 seq, 6 × f64 timing, u8 flags, u8 status, u32 column set + 1 (0: none), f64 rowCount,
 *   tag, [error as JSON], [digest], [kept rows: u32 rows, then u32 cells and cells per row]
 *
 * A text is its UTF-8 length as u32 (0xffffffff: null) and its bytes.
 */
import type { Column, Outcome, Row, ServerError, TransactionStatus } from './outcome.js'
import type { RunRow } from './run.js'

const NULL_LENGTH = 0xffffffff
const STATUSES: readonly (TransactionStatus | null)[] = [null, 'I', 'T', 'E']

const RELAXED = 1
const ROWS_CUT = 2
const SUSPENDED = 4
const HAS_ERROR = 8
const HAS_DIGEST = 16
const HAS_ROWS = 32

export function encodeRunRows(rows: readonly RunRow[]): ArrayBuffer {
  const sets = new Map<readonly Column[], number>()
  for (const { outcome } of rows) {
    if (outcome.columns !== null && !sets.has(outcome.columns)) sets.set(outcome.columns, sets.size + 1)
  }
  const out = new Writer(64 + rows.length * 256)
  out.u32(rows.length)
  out.u32(sets.size)
  for (const columns of sets.keys()) out.text(JSON.stringify(columns))
  for (const row of rows) encodeRow(out, row, sets)
  return out.finish()
}

export function decodeRunRows(buffer: ArrayBuffer): RunRow[] {
  const input = new Reader(buffer)
  const count = input.u32()
  const sets: (readonly Column[])[] = []
  for (let left = input.u32(); left > 0; left--) sets.push(JSON.parse(input.text()!) as readonly Column[])
  const rows: RunRow[] = []
  for (let i = 0; i < count; i++) rows.push(decodeRow(input, sets))
  return rows
}

function encodeRow(out: Writer, row: RunRow, sets: ReadonlyMap<readonly Column[], number>): void {
  const { timing, outcome } = row
  out.f64(row.seq)
  out.f64(timing.dueUs)
  out.f64(timing.sentUs)
  out.f64(timing.doneUs)
  out.f64(timing.waitOrderUs)
  out.f64(timing.waitSessionUs)
  out.f64(timing.waitWorkerUs)
  out.u8(
    (row.orderRelaxed ? RELAXED : 0) |
      (outcome.rowsCut ? ROWS_CUT : 0) |
      (outcome.suspended ? SUSPENDED : 0) |
      (outcome.error === null ? 0 : HAS_ERROR) |
      (outcome.digest === null ? 0 : HAS_DIGEST) |
      (outcome.rows === null ? 0 : HAS_ROWS),
  )
  out.u8(STATUSES.indexOf(outcome.status))
  out.u32(outcome.columns === null ? 0 : sets.get(outcome.columns)!)
  out.f64(outcome.rowCount)
  out.text(outcome.tag)
  if (outcome.error !== null) out.text(JSON.stringify(outcome.error))
  if (outcome.digest !== null) out.bytes(outcome.digest)
  if (outcome.rows !== null) encodeKeptRows(out, outcome.rows)
}

function encodeKeptRows(out: Writer, rows: readonly Row[]): void {
  out.u32(rows.length)
  for (const row of rows) {
    out.u32(row.length)
    for (const cell of row) out.text(cell)
  }
}

function decodeRow(input: Reader, sets: readonly (readonly Column[])[]): RunRow {
  const seq = input.f64()
  const timing = {
    dueUs: input.f64(),
    sentUs: input.f64(),
    doneUs: input.f64(),
    waitOrderUs: input.f64(),
    waitSessionUs: input.f64(),
    waitWorkerUs: input.f64(),
  }
  const flags = input.u8()
  const status = STATUSES[input.u8()]!
  const set = input.u32()
  const outcome: Outcome = {
    columns: set === 0 ? null : sets[set - 1]!,
    rowCount: input.f64(),
    tag: input.text()!,
    error: flags & HAS_ERROR ? (JSON.parse(input.text()!) as ServerError) : null,
    digest: flags & HAS_DIGEST ? input.bytes() : null,
    rows: flags & HAS_ROWS ? decodeKeptRows(input) : null,
    rowsCut: (flags & ROWS_CUT) !== 0,
    suspended: (flags & SUSPENDED) !== 0,
    status,
  }
  return { seq, timing, outcome, orderRelaxed: (flags & RELAXED) !== 0 }
}

function decodeKeptRows(input: Reader): Row[] {
  const rows: Row[] = []
  for (let left = input.u32(); left > 0; left--) {
    const row: (string | null)[] = []
    for (let cells = input.u32(); cells > 0; cells--) row.push(input.text())
    rows.push(row)
  }
  return rows
}

class Writer {
  #buffer: Buffer
  #at = 0

  constructor(bytes: number) {
    this.#buffer = Buffer.from(new ArrayBuffer(bytes))
  }

  u8(value: number): void {
    this.#room(1)
    this.#buffer[this.#at++] = value
  }

  u32(value: number): void {
    this.#room(4)
    this.#at = this.#buffer.writeUInt32LE(value, this.#at)
  }

  f64(value: number): void {
    this.#room(8)
    this.#at = this.#buffer.writeDoubleLE(value, this.#at)
  }

  text(value: string | null): void {
    if (value === null) {
      this.u32(NULL_LENGTH)
      return
    }
    // UTF-8 needs at most three bytes for a UTF-16 unit.
    this.#room(4 + value.length * 3)
    const length = this.#buffer.write(value, this.#at + 4, 'utf8')
    this.#buffer.writeUInt32LE(length, this.#at)
    this.#at += 4 + length
  }

  bytes(value: Uint8Array): void {
    this.u32(value.byteLength)
    this.#room(value.byteLength)
    this.#buffer.set(value, this.#at)
    this.#at += value.byteLength
  }

  finish(): ArrayBuffer {
    return this.#buffer.buffer.slice(0, this.#at) as ArrayBuffer
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#buffer.byteLength) return
    const larger = Buffer.from(new ArrayBuffer(Math.max(needed, this.#buffer.byteLength * 2)))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }
}

class Reader {
  readonly #buffer: Buffer
  #at = 0

  constructor(buffer: ArrayBuffer) {
    this.#buffer = Buffer.from(buffer)
  }

  u8(): number {
    return this.#buffer[this.#at++]!
  }

  u32(): number {
    this.#at += 4
    return this.#buffer.readUInt32LE(this.#at - 4)
  }

  f64(): number {
    this.#at += 8
    return this.#buffer.readDoubleLE(this.#at - 8)
  }

  text(): string | null {
    const length = this.u32()
    if (length === NULL_LENGTH) return null
    this.#at += length
    return this.#buffer.toString('utf8', this.#at - length, this.#at)
  }

  /** A view into the buffer. */
  bytes(): Uint8Array {
    const length = this.u32()
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }
}
