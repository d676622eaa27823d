/**
 * COPY data, masked line by line: bytes in, bytes out. Cells that stay are copied as they are, without ever becoming strings.
 */
import type { Mask } from './masks/index.js'

export type CopyFormat = {
  readonly format: 'text' | 'csv'
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly nullText: string
  /** The first line names the columns and is no data. */
  readonly header: boolean
}

export const TEXT_FORMAT: CopyFormat = {
  format: 'text',
  delimiter: '\t',
  quote: '"',
  escape: '"',
  nullText: '\\N',
  header: false,
}

export type CopyMask = {
  /** Whole lines in, whole lines out. */
  lines(chunk: Buffer): Buffer
  /** Any cut of the stream in; whole lines out, the rest is held back. */
  push(chunk: Buffer): Buffer
  /** What was held back. */
  end(): Buffer
}

const NEWLINE = 10
const RETURN = 13
const BACKSLASH = 92

export function createCopyMask(masks: readonly (Mask | null)[], format: CopyFormat = TEXT_FORMAT): CopyMask {
  const nothing = masks.every((mask) => mask === null)
  const sink = new Sink()
  const run = format.format === 'csv' ? csvLines(masks, format, sink) : textLines(masks, format, sink)
  let held: Buffer = Buffer.alloc(0)
  let header = format.header

  const lines = (chunk: Buffer): Buffer => {
    if (nothing || chunk.length === 0) return chunk
    let from = 0
    if (header) {
      header = false
      from = endOfLines(chunk, format, true)
    }
    return run(chunk, from)
  }
  return {
    lines,
    push(chunk) {
      const whole = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const end = endOfLines(whole, format, false)
      held = Buffer.from(whole.subarray(end))
      return end === 0 ? Buffer.alloc(0) : lines(whole.subarray(0, end))
    },
    end() {
      const rest = held
      held = Buffer.alloc(0)
      return lines(rest)
    },
  }
}

/** After the last line that ends in the bytes (or after the first); a CSV line does not end inside of quotes. */
function endOfLines(bytes: Buffer, format: CopyFormat, first: boolean): number {
  let end = 0
  let quoted = false
  const quote = format.format === 'csv' ? format.quote.charCodeAt(0) : -1
  const escaping = format.escape.charCodeAt(0)
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (quoted && byte === escaping && escaping !== quote) at += 1
    else if (byte === quote) quoted = !quoted
    else if (byte === BACKSLASH && quote < 0) at += 1
    else if (byte === NEWLINE && !quoted) {
      end = at + 1
      if (first) return end
    }
  }
  return end
}

/** A buffer that grows, and is given away when a chunk is done. */
class Sink {
  #bytes = Buffer.allocUnsafe(64 * 1024)
  #length = 0

  start(expected: number): void {
    this.#bytes = Buffer.allocUnsafe(Math.max(64, expected + (expected >> 1)))
    this.#length = 0
  }

  bytes(chunk: Buffer, from: number, to: number): void {
    this.#room(to - from)
    chunk.copy(this.#bytes, this.#length, from, to)
    this.#length += to - from
  }

  text(text: string): void {
    this.#room(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length, 'utf8')
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe((this.#length + more) * 2)
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

type Lines = (chunk: Buffer, from: number) => Buffer

/** `a\tb\\N\n`: a raw delimiter or line end is one, unless a backslash stands before it. */
function textLines(masks: readonly (Mask | null)[], format: CopyFormat, sink: Sink): Lines {
  const delimiter = format.delimiter.charCodeAt(0)
  return (chunk, start) => {
    sink.start(chunk.length)
    let copied = 0
    let column = 0
    let from = start
    let escaped = false
    for (let at = start; at <= chunk.length; at++) {
      const byte = at === chunk.length ? NEWLINE : chunk[at]!
      if (byte === BACKSLASH) {
        escaped = true
        at += 1
        continue
      }
      if (byte !== delimiter && byte !== NEWLINE) continue
      const end =
        at > chunk.length ? chunk.length : byte === NEWLINE && at > from && chunk[at - 1] === RETURN ? at - 1 : at
      const mask = masks[column]
      if (mask !== null && mask !== undefined && end > from) {
        const raw = chunk.toString('utf8', from, end)
        if (raw !== format.nullText && raw !== '\\.') {
          const value = escaped ? fromText(raw) : raw
          const masked = mask(value)
          if (masked !== value) {
            sink.bytes(chunk, copied, from)
            sink.text(toText(masked, format.delimiter))
            copied = end
          }
        }
      }
      column = byte === NEWLINE ? 0 : column + 1
      from = at + 1
      escaped = false
    }
    sink.bytes(chunk, copied, chunk.length)
    return sink.done()
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }
const ESCAPED: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
}

function fromText(raw: string): string {
  return raw.replace(
    /\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|([\s\S]))/g,
    (_, hex?: string, octal?: string, plain?: string) =>
      hex !== undefined
        ? String.fromCharCode(Number.parseInt(hex, 16))
        : octal !== undefined
          ? String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
          : (ESCAPES[plain!] ?? plain!),
  )
}

function toText(value: string, delimiter: string): string {
  const escaped = /[\b\f\n\r\t\v\\]/.test(value) ? value.replace(/[\b\f\n\r\t\v\\]/g, (one) => ESCAPED[one]!) : value
  return delimiter === '\t' ? escaped : escaped.replaceAll(delimiter, `\\${delimiter}`)
}

/** `a,"b ""c""",`: an unquoted cell equal to the NULL text is NULL. */
function csvLines(masks: readonly (Mask | null)[], format: CopyFormat, sink: Sink): Lines {
  const [delimiter, quote, escaping] = [format.delimiter, format.quote, format.escape].map((one) => one.charCodeAt(0))
  return (chunk, start) => {
    sink.start(chunk.length)
    let copied = 0
    let column = 0
    let from = start
    let quotes = false
    let quoted = false
    for (let at = start; at <= chunk.length; at++) {
      const byte = at === chunk.length ? NEWLINE : chunk[at]!
      if (quoted && at < chunk.length) {
        if (byte === escaping && escaping !== quote) at += 1
        else if (byte === quote) quoted = false
        continue
      }
      if (byte === quote) {
        quoted = true
        quotes = true
        continue
      }
      if (byte !== delimiter && byte !== NEWLINE) continue
      const end = byte === NEWLINE && at > from && chunk[at - 1] === RETURN ? at - 1 : at
      const mask = masks[column]
      if (mask !== null && mask !== undefined && end > from) {
        const raw = chunk.toString('utf8', from, end)
        if (quotes || raw !== format.nullText) {
          const value = quotes ? fromCsv(raw, format) : raw
          const masked = mask(value)
          if (masked !== value) {
            sink.bytes(chunk, copied, from)
            sink.text(toCsv(masked, format))
            copied = end
          }
        }
      }
      column = byte === NEWLINE ? 0 : column + 1
      from = at + 1
      quotes = false
    }
    sink.bytes(chunk, copied, chunk.length)
    return sink.done()
  }
}

function fromCsv(raw: string, { quote, escape: escaping }: CopyFormat): string {
  let out = ''
  let quoted = false
  for (let at = 0; at < raw.length; at++) {
    const character = raw[at]!
    if (quoted && character === escaping && (raw[at + 1] === quote || raw[at + 1] === escaping)) out += raw[++at]!
    else if (character === quote) quoted = !quoted
    else out += character
  }
  return out
}

function toCsv(value: string, format: CopyFormat): string {
  const { quote, escape: escaping, delimiter, nullText } = format
  const plain =
    value !== nullText &&
    !value.includes(delimiter) &&
    !value.includes(quote) &&
    !value.includes(escaping) &&
    !/[\n\r]/.test(value)
  if (plain) return value
  const escaped = escaping === quote ? value : value.replaceAll(escaping, escaping + escaping)
  return quote + escaped.replaceAll(quote, escaping + quote) + quote
}
