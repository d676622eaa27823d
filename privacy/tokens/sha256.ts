/**
 * SHA-256's compression of one block, so that HMAC's two key blocks are compressed once for a key and not for every value.
 *
 * A call into Node's crypto costs more than the hashing of a short value, and it allocates. For longer messages that one is faster:
 * ./prf.ts decides. A test holds this against Node's.
 */

/** As words, big-endian. */
export type State = Int32Array

export function initialState(): State {
  return Int32Array.from(FIRST_PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))
}

/** The first 32 bits of what follows the point. */
function fraction(root: number): number {
  return ((root - Math.floor(root)) * 0x1_0000_0000) | 0
}

const FIRST_PRIMES: readonly number[] = primes(64)

function primes(count: number): number[] {
  const found: number[] = []
  for (let number = 2; found.length < count; number++)
    if (found.every((prime) => number % prime !== 0)) found.push(number)
  return found
}

const K = Int32Array.from(FIRST_PRIMES, (prime) => fraction(Math.cbrt(prime)))

/** Compresses the 16 words at the beginning of `words` (which has room for 64) into `out`, beginning with `from`; the two may be one. */
export function compress(from: State, words: Int32Array, out: State): void {
  for (let at = 16; at < 64; at++) {
    const x = words[at - 15]!
    const y = words[at - 2]!
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    words[at] = (words[at - 16]! + s0 + words[at - 7]! + s1) | 0
  }
  let a = from[0]!
  let b = from[1]!
  let c = from[2]!
  let d = from[3]!
  let e = from[4]!
  let f = from[5]!
  let g = from[6]!
  let h = from[7]!
  for (let at = 0; at < 64; at++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const one = (h + s1 + ((e & f) ^ (~e & g)) + K[at]! + words[at]!) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + one) | 0
    d = c
    c = b
    b = a
    a = (one + two) | 0
  }
  out[0] = (from[0]! + a) | 0
  out[1] = (from[1]! + b) | 0
  out[2] = (from[2]! + c) | 0
  out[3] = (from[3]! + d) | 0
  out[4] = (from[4]! + e) | 0
  out[5] = (from[5]! + f) | 0
  out[6] = (from[6]! + g) | 0
  out[7] = (from[7]! + h) | 0
}
