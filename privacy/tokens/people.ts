/**
 * Tokens that read like a person's particulars: a word or two from the dictionary, and 65 bits that no other value shares.
 */
import type { Dictionary } from './dictionary.js'
import { patternToken } from './pattern.js'
import { type Digest, number32, type Prf, SUFFIX_LENGTH, suffix } from './prf.js'

/** Where the bits of a digest go: 0–8 the suffix, the rest chooses words. */
const WORDS_AT = 16

const DOMAINS = ['example.com', 'example.net', 'example.org'] as const

/** Case-folded in, lower-case out, so that `lower(email)` of a token is the token of `lower(email)`. */
export function emailToken(prf: Prf, words: Dictionary, limit: number, value: string): string {
  const address = value.toLowerCase()
  // What is no address stays none: a CHECK that refused the value refuses the token.
  if (!address.includes('@')) return patternToken(prf, address)
  const digest = prf(address)
  // Domains reserved for documentation: whatever goes wrong, nobody receives mail.
  const rest = `${suffix(digest)}@${pick(DOMAINS, digest, WORDS_AT)}`
  if (limit < rest.length) return patternToken(prf, address)
  const name = pick(words.mailNames, digest, WORDS_AT + 4)
  return rest.length + name.length + 1 <= limit ? `${name}.${rest}` : rest
}

export function fullNameToken(prf: Prf, words: Dictionary, limit: number, value: string): string {
  const digest = prf(value)
  const names = `${pick(words.firstNames, digest, WORDS_AT)} ${pick(words.lastNames, digest, WORDS_AT + 4)}`
  return fitted(prf, names, digest, limit, value)
}

export function firstNameToken(prf: Prf, words: Dictionary, limit: number, value: string): string {
  const digest = prf(value)
  return fitted(prf, pick(words.firstNames, digest, WORDS_AT), digest, limit, value)
}

export function addressToken(prf: Prf, words: Dictionary, limit: number, value: string): string {
  const digest = prf(value)
  const number = 1 + (number32(digest, WORDS_AT) % 199)
  const street = `${pick(words.lastNames, digest, WORDS_AT + 4)} ${pick(words.streets, digest, WORDS_AT + 8)}`
  return fitted(prf, `${number} ${street}`, digest, limit, value)
}

/** The words, cut to what the column has room for, then the suffix; a column too narrow for that keeps the value's format instead. */
function fitted(prf: Prf, words: string, digest: Digest, limit: number, value: string): string {
  if (limit < SUFFIX_LENGTH + 2) return patternToken(prf, value)
  const end = suffix(digest)
  return `${words.slice(0, limit - SUFFIX_LENGTH - 1).trimEnd()} ${end[0]!.toUpperCase()}${end.slice(1)}`
}

function pick(list: readonly string[], digest: Digest, at: number): string {
  return list[number32(digest, at) % list.length]!
}

const EMAIL_TOKEN = /^([a-z]+\.)?[0-9a-hj-km-np-tv-z]{13}@example\.(c(om?)?|n(et?)?|o(rg?)?)$/

const NOBODYS_ADDRESS = /@example\.(c(om?)?|n(et?)?|o(rg?)?)$/

/** At a domain of the tokens, where nobody has an address: what is left of a token, with what stands beside it in the bytes. */
export function isNobodysAddress(text: string): boolean {
  return NOBODYS_ADDRESS.test(text)
}

/** Made here, for all that can be seen; a report may have cut it short. */
export function isEmailToken(text: string): boolean {
  return EMAIL_TOKEN.test(text)
}
