/**
 * What a server says: decoding a message's body. Decoders take it as `buffer[start, end)` and return null for one that
 * lies about itself. Rows are walked in place: no cell is copied unless the caller wants it.
 */
import type { Format } from './bind.js'
import { int16, int32, stringEnd, text, uint16, uint32 } from './bytes.js'

const code = (letter: string) => letter.charCodeAt(0)

/** Types of backend messages. */
export const BACKEND = {
  authentication: code('R'),
  backendKeyData: code('K'),
  parameterStatus: code('S'),
  readyForQuery: code('Z'),
  rowDescription: code('T'),
  dataRow: code('D'),
  commandComplete: code('C'),
  emptyQueryResponse: code('I'),
  portalSuspended: code('s'),
  parseComplete: code('1'),
  bindComplete: code('2'),
  closeComplete: code('3'),
  noData: code('n'),
  parameterDescription: code('t'),
  error: code('E'),
  notice: code('N'),
  notification: code('A'),
  copyIn: code('G'),
  copyOut: code('H'),
  copyBoth: code('W'),
  copyData: code('d'),
  copyDone: code('c'),
  functionCallResponse: code('V'),
  negotiateProtocolVersion: code('v'),
} as const

export type DescribedColumn = {
  readonly name: string
  readonly tableOid: number
  readonly attnum: number
  readonly typeOid: number
  readonly typmod: number
  readonly format: Format
}

export function decodeRowDescription(buffer: Uint8Array, start: number, end: number): DescribedColumn[] | null {
  if (start + 2 > end) return null
  const columns: DescribedColumn[] = []
  let at = start + 2
  for (let left = uint16(buffer, start); left > 0; left--) {
    const nameEnd = stringEnd(buffer, at, end)
    if (nameEnd < 0 || nameEnd + 19 > end) return null
    columns.push({
      name: text(buffer, at, nameEnd),
      tableOid: uint32(buffer, nameEnd + 1),
      attnum: int16(buffer, nameEnd + 5),
      typeOid: uint32(buffer, nameEnd + 7),
      typmod: int32(buffer, nameEnd + 13),
      format: int16(buffer, nameEnd + 17) === 1 ? 1 : 0,
    })
    at = nameEnd + 19
  }
  return columns
}

/** Calls back for each cell of a DataRow: `start` -1 is NULL. False: the row lies about itself (some cells were given). */
export function eachCell(
  buffer: Uint8Array,
  start: number,
  end: number,
  cell: (column: number, start: number, end: number) => void,
): boolean {
  if (start + 2 > end) return false
  const count = uint16(buffer, start)
  let at = start + 2
  for (let column = 0; column < count; column++) {
    if (at + 4 > end) return false
    const bytes = int32(buffer, at)
    at += 4
    if (bytes < -1 || at + bytes > end) return false
    if (bytes < 0) cell(column, -1, -1)
    else cell(column, at, at + bytes)
    at += Math.max(bytes, 0)
  }
  return true
}

/** Tag of a CommandComplete. */
export function decodeTag(buffer: Uint8Array, start: number, end: number): string | null {
  const zero = stringEnd(buffer, start, end)
  return zero < 0 ? null : text(buffer, start, zero)
}

/** Rows that a tag counts: the last word of `INSERT 0 1`, `SELECT 3`, `COPY 7`; 0 for tags without a count. */
export function tagRowCount(tag: string): number {
  const last = tag.slice(tag.lastIndexOf(' ') + 1)
  return /^\d+$/.test(last) ? Number(last) : 0
}

/** Fields of an ErrorResponse or NoticeResponse by their letter: `C` SQLSTATE, `M` message, `D` detail … */
export function decodeFields(buffer: Uint8Array, start: number, end: number): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  for (let at = start; at < end && buffer[at] !== 0; ) {
    const zero = stringEnd(buffer, at + 1, end)
    if (zero < 0) break
    fields[String.fromCharCode(buffer[at]!)] = text(buffer, at + 1, zero)
    at = zero + 1
  }
  return fields
}

export type Parameter = { readonly name: string; readonly value: string }

export function decodeParameterStatus(buffer: Uint8Array, start: number, end: number): Parameter | null {
  const nameEnd = stringEnd(buffer, start, end)
  const valueEnd = nameEnd < 0 ? -1 : stringEnd(buffer, nameEnd + 1, end)
  if (valueEnd < 0) return null
  return { name: text(buffer, start, nameEnd), value: text(buffer, nameEnd + 1, valueEnd) }
}

/** Process id of a BackendKeyData; the key (4 bytes in protocol 3.0, up to 256 in 3.2) is nobody's business. */
export function decodeBackendPid(buffer: Uint8Array, start: number, end: number): number | null {
  return start + 4 > end ? null : int32(buffer, start)
}

export function decodeStatus(buffer: Uint8Array, start: number, end: number): 'I' | 'T' | 'E' | null {
  if (start >= end) return null
  const letter = buffer[start]
  return letter === 0x49 ? 'I' : letter === 0x54 ? 'T' : letter === 0x45 ? 'E' : null
}

/** Type oids of a ParameterDescription. */
export function decodeParameterTypes(buffer: Uint8Array, start: number, end: number): number[] | null {
  if (start + 2 > end) return null
  const count = uint16(buffer, start)
  if (start + 2 + count * 4 > end) return null
  return Array.from({ length: count }, (_, i) => uint32(buffer, start + 2 + i * 4))
}

export type Notification = { readonly backendPid: number; readonly channel: string; readonly payload: string }

export function decodeNotification(buffer: Uint8Array, start: number, end: number): Notification | null {
  if (start + 4 > end) return null
  const named = decodeParameterStatus(buffer, start + 4, end)
  return named && { backendPid: int32(buffer, start), channel: named.name, payload: named.value }
}

export type CopyShape = { readonly format: Format; readonly columns: number }

/** CopyInResponse, CopyOutResponse, CopyBothResponse: overall format and number of columns. */
export function decodeCopyShape(buffer: Uint8Array, start: number, end: number): CopyShape | null {
  return start + 3 > end ? null : { format: buffer[start] === 1 ? 1 : 0, columns: uint16(buffer, start + 1) }
}

/** Code of an Authentication message: 0 is AuthenticationOk. */
export function decodeAuthentication(buffer: Uint8Array, start: number, end: number): number | null {
  return start + 4 > end ? null : int32(buffer, start)
}
