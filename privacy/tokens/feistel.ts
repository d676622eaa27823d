/**
 * A keyed permutation of the strings of one format: exactly bijective, whatever the size of the domain.
 *
 * Positions with a small alphabet each (ten digits, 26 letters) are read as two numbers in mixed radix, and the halves are added
 * to keyed functions of each other, modulo their own sizes (the construction of NIST's FF1). Modular addition keeps each half in its
 * range, so no domain needs cycle-walking, except where one position is alone and has no other half.
 */
import { hexOf, type Prf } from './prf.js'

const ROUNDS = 8
/** Below this product a half is exact as a double, with room for the addition. */
const EXACT = 2 ** 47

/** Permutes the positions in place; `tweak` is whatever of the value stays as it is. */
export function permute(prf: Prf, tweak: string, digits: number[], radices: readonly number[]): void {
  if (digits.length === 0) return
  if (digits.length === 1) {
    digits[0] = permuteIndex(prf, tweak, digits[0]!, radices[0]!)
    return
  }
  const half = digits.length >> 1
  const sizeA = product(radices, 0, half)
  const sizeB = product(radices, half, radices.length)
  if (sizeA < EXACT && sizeB < EXACT) {
    const [a, b] = halves(
      prf,
      tweak,
      compose(digits, radices, 0, half),
      sizeA,
      compose(digits, radices, half, digits.length),
      sizeB,
    )
    decompose(a, digits, radices, 0, half)
    decompose(b, digits, radices, half, digits.length)
  } else permuteLarge(prf, tweak, digits, radices, half)
}

/**
 * The same permutation of decimal digits, without taking them apart: most of what is permuted are numbers. `leading`: the first digit is no
 * zero, before or after. null: not of a length that goes this way.
 */
export function permuteDecimal(prf: Prf, tweak: string, text: string, leading: boolean): string | null {
  const { length } = text
  if (length < 2 || length > DECIMALS_MAX) return null
  const half = length >> 1
  const least = leading ? 10 ** (half - 1) : 0
  const [a, b] = halves(
    prf,
    tweak,
    Number(text.slice(0, half)) - least,
    10 ** half - least,
    Number(text.slice(half)),
    10 ** (length - half),
  )
  return String(a + least).padStart(half, '0') + String(b).padStart(length - half, '0')
}

/** Both halves are below `EXACT`. */
const DECIMALS_MAX = 28

/** The rounds, on two halves of a size below `EXACT` each. */
export function halves(
  prf: Prf,
  tweak: string,
  a: number,
  sizeA: number,
  b: number,
  sizeB: number,
): readonly [a: number, b: number] {
  const keyed = prf.rounds(tweak)
  for (let round = 0; round < ROUNDS; round += 2) {
    a = (a + (keyed(round, b) % sizeA)) % sizeA
    b = (b + (keyed(round + 1, a) % sizeB)) % sizeB
  }
  return [a, b]
}

/** Permutes the numbers 0 … size-1, walking the cycle of a square domain until it comes back inside. */
export function permuteIndex(prf: Prf, tweak: string, index: number, size: number): number {
  if (size <= 1) return index
  const side = Math.ceil(Math.sqrt(size))
  const keyed = prf.rounds(tweak)
  let at = index
  do {
    let a = Math.floor(at / side)
    let b = at % side
    for (let round = 0; round < ROUNDS; round += 2) {
      a = (a + (keyed(round, b) % side)) % side
      b = (b + (keyed(round + 1, a) % side)) % side
    }
    at = a * side + b
  } while (at >= size)
  return at
}

function permuteLarge(prf: Prf, tweak: string, digits: number[], radices: readonly number[], half: number): void {
  const [sizeA, sizeB] = [productLarge(radices, 0, half), productLarge(radices, half, radices.length)]
  let a = composeLarge(digits, radices, 0, half)
  let b = composeLarge(digits, radices, half, digits.length)
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 2 === 0) a = (a + wide(prf, `${round} ${b} ${tweak}`, sizeA)) % sizeA
    else b = (b + wide(prf, `${round} ${a} ${tweak}`, sizeB)) % sizeB
  }
  decomposeLarge(a, digits, radices, 0, half)
  decomposeLarge(b, digits, radices, half, digits.length)
}

/** As many keyed bits as the size needs, and 64 more so that the remainder is even. */
function wide(prf: Prf, input: string, size: bigint): bigint {
  let hex = ''
  for (let block = 0; hex.length * 4 < size.toString(2).length + 64; block++) {
    hex += hexOf(prf(`${block} ${input}`), 8)
  }
  return BigInt(`0x${hex}`) % size
}

function product(radices: readonly number[], from: number, to: number): number {
  let size = 1
  for (let at = from; at < to; at++) size *= radices[at]!
  return size
}

function compose(digits: readonly number[], radices: readonly number[], from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) value = value * radices[at]! + digits[at]!
  return value
}

function decompose(value: number, digits: number[], radices: readonly number[], from: number, to: number): void {
  let rest = value
  for (let at = to - 1; at >= from; at--) {
    digits[at] = rest % radices[at]!
    rest = Math.floor(rest / radices[at]!)
  }
}

function productLarge(radices: readonly number[], from: number, to: number): bigint {
  return radices.slice(from, to).reduce((size, radix) => size * BigInt(radix), 1n)
}

function composeLarge(digits: readonly number[], radices: readonly number[], from: number, to: number): bigint {
  let value = 0n
  for (let at = from; at < to; at++) value = value * BigInt(radices[at]!) + BigInt(digits[at]!)
  return value
}

function decomposeLarge(value: bigint, digits: number[], radices: readonly number[], from: number, to: number): void {
  let rest = value
  for (let at = to - 1; at >= from; at--) {
    digits[at] = Number(rest % BigInt(radices[at]!))
    rest /= BigInt(radices[at]!)
  }
}
