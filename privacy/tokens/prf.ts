/**
 * The keyed function under every token: HMAC-SHA-256, with a key of its own per domain.
 *
 * Measured on Node 20, per value: `createHmac` 2.2 µs; two one-shot `crypto.hash` calls over prepared buffers 0.7 µs, because no
 * object is made. The digest comes as a latin1 string: `charCodeAt` reads its bytes, and no Buffer is allocated (that alone costs 0.5 µs).
 */
import { createHmac, hash } from 'node:crypto'

export type Prf = {
  /** 32 bytes that depend on the key, the domain and the whole value, as a latin1 string. */
  (value: string): string
  /** 48 such bits as a number, for a permutation's rounds: eight of them make one token, so they are made cheaper. */
  round(input: string): number
}

const BLOCK = 64
const DIGEST = 32

export function createPrf(key: Uint8Array, domain: string): Prf {
  // Part of every token: a change here changes all tokens, so it carries a version.
  const own = createHmac('sha256', key).update(`pgrehearse token v1 ${domain}`).digest()
  const outer = Buffer.alloc(BLOCK + DIGEST)
  let inner = Buffer.alloc(BLOCK + 1024)
  for (let at = 0; at < BLOCK; at++) {
    const byte = at < DIGEST ? own[at]! : 0
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  const prf = (value: string): string => {
    if (value.length * 3 > inner.length - BLOCK) {
      const larger = Buffer.alloc(BLOCK + value.length * 3)
      inner.copy(larger, 0, 0, BLOCK)
      inner = larger
    }
    const length = inner.write(value, BLOCK, 'utf8')
    outer.write(hash('sha256', inner.subarray(0, BLOCK + length), 'binary'), BLOCK, 'latin1')
    return hash('sha256', outer, 'binary')
  }
  // One hash instead of HMAC's two: cut to 6 of 32 bytes there is nothing that a message could be lengthened from.
  const keyed = Buffer.alloc(BLOCK + 512)
  createHmac('sha256', own).update('round').digest().copy(keyed)
  const round = (input: string): number => {
    if (input.length * 3 > keyed.length - BLOCK) return number48(prf(input), 0)
    const length = keyed.write(input, BLOCK, 'utf8')
    return number48(hash('sha256', keyed.subarray(0, BLOCK + length), 'binary'), 0)
  }
  return Object.assign(prf, { round })
}

/** A 48-bit number out of a digest, from byte `at`: small enough for exact arithmetic. */
export function number48(digest: string, at: number): number {
  return number32(digest, at) * 0x10000 + digest.charCodeAt(at + 4) * 0x100 + digest.charCodeAt(at + 5)
}

export function number32(digest: string, at: number): number {
  return (
    digest.charCodeAt(at) * 0x1000000 +
    digest.charCodeAt(at + 1) * 0x10000 +
    digest.charCodeAt(at + 2) * 0x100 +
    digest.charCodeAt(at + 3)
  )
}

// No i, l, o, u: nobody misreads a token, and no token is a word.
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz'

export const SUFFIX_LENGTH = 13

/** 65 bits of a digest as 13 characters: what keeps tokens of different values apart. */
export function suffix(digest: string): string {
  let out = ''
  let held = 0
  let bits = 0
  for (let at = 0; out.length < SUFFIX_LENGTH; at++) {
    held = ((held << 8) | digest.charCodeAt(at)) & 0xffff
    bits += 8
    while (bits >= 5 && out.length < SUFFIX_LENGTH) {
      bits -= 5
      out += LETTERS[(held >> bits) & 31]
    }
  }
  return out
}
