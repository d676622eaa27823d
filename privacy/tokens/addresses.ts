/**
 * Tokens of machine addresses and UUIDs: valid, of the same family, version and width, one to one.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { permute } from './feistel.js'
import { patternToken } from './pattern.js'
import { hexOf, type Prf } from './prf.js'

/**
 * `inet` and `cidr`. With a mask whose host bits are all zero (a network) only the network's bits change, so it stays one.
 * Not prefix-preserving: `<<` on tokens says nothing about the values.
 */
export function ipToken(prf: Prf, value: string): string {
  const [address = '', mask] = value.split('/')
  const family = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : 0
  const width = mask === undefined ? family : Number(mask)
  if (family === 0 || !Number.isInteger(width) || width > family) return patternToken(prf, value)
  const bytes = family === 32 ? bytesOfV4(address) : bytesOfV6(address)
  const network = width < family && isNetwork(bytes, width)
  let token = bytes
  do token = permuted(prf, token, network ? width : family)
  while (
    // An address must not become the network's own: that one is the token of another.
    width < family &&
    !network &&
    isNetwork(token, width)
  )
  const shown = family === 32 ? token.join('.') : v6(token)
  return mask === undefined ? shown : `${shown}/${mask}`
}

function isNetwork(bytes: readonly number[], width: number): boolean {
  return bytes.every((byte, at) => (byte & (0xff >> Math.max(0, Math.min(8, width - at * 8)))) === 0)
}

/** The first `width` bits, byte by byte; what is left of the byte they end in stays. */
function permuted(prf: Prf, bytes: readonly number[], width: number): number[] {
  const whole = width >> 3
  const spare = 8 - (width & 7)
  const digits = bytes.slice(0, whole)
  const radices = Array<number>(whole).fill(256)
  if (spare < 8) {
    digits.push(bytes[whole]! >> spare)
    radices.push(256 >> spare)
  }
  permute(prf, `ip ${bytes.length} ${width}`, digits, radices)
  const out = [...digits.slice(0, whole), ...bytes.slice(whole)]
  if (spare < 8) out[whole] = (digits[whole]! << spare) | (bytes[whole]! & (0xff >> (8 - spare)))
  return out
}

function bytesOfV4(address: string): number[] {
  return address.split('.').map(Number)
}

function bytesOfV6(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const text =
    dotted === null
      ? address
      : dotted[1]! + [2, 4].map((at) => (Number(dotted[at]) * 256 + Number(dotted[at + 1])).toString(16)).join(':')
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...middle, ...right].flatMap((group) => {
    const number = Number.parseInt(group, 16)
    return [number >> 8, number & 0xff]
  })
}

/** As PostgreSQL prints it: lower-case, the longest run of zero groups (two or more) left out. */
function v6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[at * 2]! * 256 + bytes[at * 2 + 1]!).toString(16))
  const runs = [
    ...groups
      .map((group) => (group === '0' ? '0' : '-'))
      .join('')
      .matchAll(/0{2,}/g),
  ]
  const longest = runs.reduce<RegExpMatchArray | null>(
    (best, run) => (best === null || run[0].length > best[0].length ? run : best),
    null,
  )
  if (longest === null) return groups.join(':')
  return `${groups.slice(0, longest.index).join(':')}::${groups.slice(longest.index! + longest[0].length).join(':')}`
}

const UUID = /^\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$/i

/** The same UUID in every spelling gets the same token, spelled alike; version and variant stay, 122 bits do not. */
export function uuidToken(prf: Prf, value: string): string {
  if (!UUID.test(value)) return patternToken(prf, value)
  const hex = value.replace(/[{}-]/g, '').toLowerCase()
  if (/^0+$/.test(hex)) return value // the nil UUID means "none"
  const drawn = hexOf(prf(hex), 4)
  const variant = (Number.parseInt(hex[16]!, 16) & 0b1100) | (Number.parseInt(drawn[16]!, 16) & 0b0011)
  const token = drawn.slice(0, 12) + hex[12] + drawn.slice(13, 16) + variant.toString(16) + drawn.slice(17)
  if (value.length === 36 && value[8] === '-' && value[13] === '-' && value[18] === '-')
    return `${token.slice(0, 8)}-${token.slice(8, 12)}-${token.slice(12, 16)}-${token.slice(16, 20)}-${token.slice(20)}`
  let next = 0
  return value.replace(/[0-9a-f]/gi, () => token[next++]!)
}
