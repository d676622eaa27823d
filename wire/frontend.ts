/**
 * What a client says: decoding a message's body, and building messages to send.
 *
 * Decoders take the body as `buffer[start, end)` and return null for one that lies about itself.
 */
import { int32, MessageWriter, stringEnd, text, uint16, uint32 } from './bytes.js'

const code = (letter: string) => letter.charCodeAt(0)

/** Types of frontend messages. */
export const FRONTEND = {
  query: code('Q'),
  parse: code('P'),
  bind: code('B'),
  describe: code('D'),
  execute: code('E'),
  close: code('C'),
  flush: code('H'),
  sync: code('S'),
  copyData: code('d'),
  copyDone: code('c'),
  copyFail: code('f'),
  functionCall: code('F'),
  terminate: code('X'),
  /** Password, SASL and GSS answers share one letter. */
  authentication: code('p'),
} as const

/** Text of a Query, reason of a CopyFail. */
export function decodeString(buffer: Uint8Array, start: number, end: number): string | null {
  const zero = stringEnd(buffer, start, end)
  return zero < 0 ? null : text(buffer, start, zero)
}

export type Parse = { readonly name: string; readonly sql: string; readonly parameterTypes: readonly number[] }

export function decodeParse(buffer: Uint8Array, start: number, end: number): Parse | null {
  const nameEnd = stringEnd(buffer, start, end)
  const sqlEnd = nameEnd < 0 ? -1 : stringEnd(buffer, nameEnd + 1, end)
  if (sqlEnd < 0 || sqlEnd + 3 > end) return null
  const count = uint16(buffer, sqlEnd + 1)
  if (sqlEnd + 3 + count * 4 > end) return null
  const parameterTypes: number[] = []
  for (let i = 0; i < count; i++) parameterTypes.push(uint32(buffer, sqlEnd + 3 + i * 4))
  return { name: text(buffer, start, nameEnd), sql: text(buffer, nameEnd + 1, sqlEnd), parameterTypes }
}

export type Target = { readonly kind: 'S' | 'P'; readonly name: string }

/** Body of a Describe or a Close. */
export function decodeTarget(buffer: Uint8Array, start: number, end: number): Target | null {
  if (start >= end) return null
  const kind = buffer[start] === code('S') ? 'S' : buffer[start] === code('P') ? 'P' : null
  const name = decodeString(buffer, start + 1, end)
  return kind && name !== null ? { kind, name } : null
}

export type Execute = { readonly portal: string; readonly rowLimit: number }

export function decodeExecute(buffer: Uint8Array, start: number, end: number): Execute | null {
  const zero = stringEnd(buffer, start, end)
  if (zero < 0 || zero + 5 > end) return null
  return { portal: text(buffer, start, zero), rowLimit: int32(buffer, zero + 1) }
}

export function buildQuery(sql: string): Buffer {
  return new MessageWriter(sql.length + 8).start(FRONTEND.query).string(sql).finish().bytes()
}

export function buildParse(name: string, sql: string, parameterTypes: readonly number[] = []): Buffer {
  const writer = new MessageWriter(sql.length + 32).start(FRONTEND.parse).string(name).string(sql)
  writer.int16(parameterTypes.length)
  for (const oid of parameterTypes) writer.int32(oid)
  return writer.finish().bytes()
}

/** `rest` as ./bind.ts takes it apart and puts it together. */
export function buildBind(portal: string, name: string, rest: Uint8Array): Buffer {
  const writer = new MessageWriter(rest.byteLength + portal.length + name.length + 16).start(FRONTEND.bind)
  return writer.string(portal).string(name).raw(rest).finish().bytes()
}

export function buildDescribe(kind: 'S' | 'P', name: string): Buffer {
  return new MessageWriter().start(FRONTEND.describe).int8(code(kind)).string(name).finish().bytes()
}

export function buildExecute(portal: string, rowLimit = 0): Buffer {
  return new MessageWriter().start(FRONTEND.execute).string(portal).int32(rowLimit).finish().bytes()
}

export function buildClose(kind: 'S' | 'P', name: string): Buffer {
  return new MessageWriter().start(FRONTEND.close).int8(code(kind)).string(name).finish().bytes()
}

export function buildCopyData(data: Uint8Array): Buffer {
  return new MessageWriter(data.byteLength + 5).start(FRONTEND.copyData).raw(data).finish().bytes()
}

export function buildCopyFail(reason: string): Buffer {
  return new MessageWriter().start(FRONTEND.copyFail).string(reason).finish().bytes()
}

const bare = (type: number) => new MessageWriter(5).start(type).finish().bytes()
export const buildFlush = (): Buffer => bare(FRONTEND.flush)
export const buildSync = (): Buffer => bare(FRONTEND.sync)
export const buildCopyDone = (): Buffer => bare(FRONTEND.copyDone)
export const buildTerminate = (): Buffer => bare(FRONTEND.terminate)

/** On a connection of its own, instead of a start-up message. */
export function buildCancelRequest(backendPid: number, key: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeInt32BE(16, 0)
  bytes.writeInt32BE(80_877_102, 4)
  bytes.writeInt32BE(backendPid, 8)
  bytes.writeInt32BE(key, 12)
  return bytes
}
