/**
 * Tokens of machine addresses and UUIDs: valid, of the same family, version and width, one to one.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { permute } from './feistel.js'
import { patternToken } from './pattern.js'
import type { Prf } from './prf.js'

/**
 * `inet` and `cidr`. With a mask whose host bits are all zero (a network) only the network's bits change, so it stays one.
 * Not prefix-preserving: `<<` on tokens says nothing about the values.
 */
export function ipToken(prf: Prf, value: string): string {
  const [address = '', mask] = value.split('/')
  const family = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : 0
  const width = mask === undefined ? family : Number(mask)
  if (family === 0 || !Number.isInteger(width) || width > family) return patternToken(prf, value)
  const bits = family === 32 ? bitsOfV4(address) : bitsOfV6(address)
  const network = width < family && bits.slice(width).every((bit) => bit === 0)
  let token = bits
  do token = permuted(prf, token, network ? width : family)
  while (
    // An address must not become the network's own: that one is the token of another.
    width < family &&
    !network &&
    token.slice(width).every((bit) => bit === 0)
  )
  const shown = family === 32 ? v4(token) : v6(token)
  return mask === undefined ? shown : `${shown}/${mask}`
}

function permuted(prf: Prf, bits: readonly number[], width: number): number[] {
  const head = bits.slice(0, width)
  permute(prf, `ip ${bits.length} ${width}`, head, Array<number>(width).fill(2))
  return [...head, ...bits.slice(width)]
}

function bitsOfV4(address: string): number[] {
  return address.split('.').flatMap((part) => bitsOf(Number(part), 8))
}

function bitsOfV6(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const text =
    dotted === null
      ? address
      : dotted[1]! + [2, 4].map((at) => (Number(dotted[at]) * 256 + Number(dotted[at + 1])).toString(16)).join(':')
  const [head = '', tail] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...middle, ...right].flatMap((group) => bitsOf(Number.parseInt(group, 16), 16))
}

function bitsOf(number: number, width: number): number[] {
  return Array.from({ length: width }, (_, at) => (number >> (width - 1 - at)) & 1)
}

function numbers(bits: readonly number[], width: number): number[] {
  return Array.from({ length: bits.length / width }, (_, at) =>
    bits.slice(at * width, (at + 1) * width).reduce((number, bit) => number * 2 + bit, 0),
  )
}

function v4(bits: readonly number[]): string {
  return numbers(bits, 8).join('.')
}

/** As PostgreSQL prints it: lower-case, the longest run of zero groups (two or more) left out. */
function v6(bits: readonly number[]): string {
  const groups = numbers(bits, 16).map((group) => group.toString(16))
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

/** Any spelling in, PostgreSQL's own out; version and variant stay, 122 bits do not. */
export function uuidToken(prf: Prf, value: string): string {
  if (!UUID.test(value)) return patternToken(prf, value)
  const hex = value.replace(/[{}-]/g, '').toLowerCase()
  if (/^0+$/.test(hex)) return value // the nil UUID means "none"
  const drawn = Buffer.from(prf(hex).slice(0, 16), 'latin1').toString('hex')
  const variant = (Number.parseInt(hex[16]!, 16) & 0b1100) | (Number.parseInt(drawn[16]!, 16) & 0b0011)
  const token = drawn.slice(0, 12) + hex[12] + drawn.slice(13, 16) + variant.toString(16) + drawn.slice(17)
  return token.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
