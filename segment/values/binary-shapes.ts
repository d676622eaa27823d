/**
 * Binary forms that are made of other values: ranges and multiranges of a subtype, geometric shapes of floating-point numbers.
 */
import { float8Text } from './float-text.js'
import { quoteBound } from './range-literal.js'

type Decoder = (bytes: Buffer) => string | undefined

const EMPTY = 0x01
const LOWER_INCLUSIVE = 0x02
const UPPER_INCLUSIVE = 0x04
const LOWER_INFINITE = 0x08
const UPPER_INFINITE = 0x10

export function rangeOfBinary(subtype: Decoder): Decoder {
  return (bytes) => {
    const flags = bytes.readUInt8(0)
    if ((flags & EMPTY) !== 0) return bytes.byteLength === 1 ? 'empty' : undefined
    let at = 1
    const bound = (infinite: number): string | undefined => {
      if ((flags & infinite) !== 0) return ''
      const length = bytes.readInt32BE(at)
      if (length < 0 || at + 4 + length > bytes.byteLength) return undefined
      const text = subtype(bytes.subarray(at + 4, at + 4 + length))
      at += 4 + length
      return text === undefined ? undefined : quoteBound(text)
    }
    const lower = bound(LOWER_INFINITE)
    const upper = lower === undefined ? undefined : bound(UPPER_INFINITE)
    if (upper === undefined || at !== bytes.byteLength) return undefined
    const open = (flags & LOWER_INCLUSIVE) !== 0 ? '[' : '('
    return `${open}${lower},${upper}${(flags & UPPER_INCLUSIVE) !== 0 ? ']' : ')'}`
  }
}

export function multirangeOfBinary(range: Decoder): Decoder {
  return (bytes) => {
    const count = bytes.readInt32BE(0)
    const ranges: string[] = []
    let at = 4
    for (let i = 0; i < count; i++) {
      const length = bytes.readInt32BE(at)
      if (length < 0 || at + 4 + length > bytes.byteLength) return undefined
      const text = range(bytes.subarray(at + 4, at + 4 + length))
      if (text === undefined) return undefined
      ranges.push(text)
      at += 4 + length
    }
    return at === bytes.byteLength ? `{${ranges.join(',')}}` : undefined
  }
}

const POINT_BYTES = 16

function point(bytes: Buffer, at: number): string {
  return `(${float8Text(bytes.readDoubleBE(at))},${float8Text(bytes.readDoubleBE(at + 8))})`
}

function points(bytes: Buffer, from: number, count: number): string | undefined {
  if (count < 0 || bytes.byteLength !== from + count * POINT_BYTES) return undefined
  return Array.from({ length: count }, (_, i) => point(bytes, from + i * POINT_BYTES)).join(',')
}

const around = (open: string, inner: string | undefined, close: string) =>
  inner === undefined ? undefined : `${open}${inner}${close}`

export const pointText: Decoder = (bytes) => points(bytes, 0, 1)
export const lsegText: Decoder = (bytes) => around('[', points(bytes, 0, 2), ']')
export const boxText: Decoder = (bytes) => points(bytes, 0, 2)
export const polygonText: Decoder = (bytes) => around('(', points(bytes, 4, bytes.readInt32BE(0)), ')')
export const pathText: Decoder = (bytes) => {
  const [open, close] = bytes.readUInt8(0) === 0 ? ['[', ']'] : ['(', ')']
  return around(open!, points(bytes, 5, bytes.readInt32BE(1)), close!)
}
export const lineText: Decoder = (bytes) =>
  bytes.byteLength === 24 ? `{${[0, 8, 16].map((at) => float8Text(bytes.readDoubleBE(at))).join(',')}}` : undefined
export const circleText: Decoder = (bytes) =>
  bytes.byteLength === 24 ? `<${point(bytes, 0)},${float8Text(bytes.readDoubleBE(16))}>` : undefined
