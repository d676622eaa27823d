/**
 * token(kind, value): the same fake for the same value, everywhere, for whoever has the key, and for nobody else.
 *
 * NULL never comes here; the empty string and the nil UUID mean "none" and stay. What each kind promises is in the kind's own file and in
 * docs/design; all promise: same key, kind and value, same token; different values, different tokens (exactly where the
 * format has fewer than 2^64 values, else by 64 bits of the whole value); and a token fits where its value did.
 */
import { detect } from '../detect.js'
import type { TokenKind } from '../kinds.js'
import { ipToken, uuidToken } from './addresses.js'
import { dateToken, shiftDays } from './dates.js'
import type { Dictionary } from './dictionary.js'
import { hot } from './hot.js'
import { cardToken, digitsToken, ibanToken, phoneToken } from './numbers.js'
import { patternToken } from './pattern.js'
import { addressToken, emailToken, firstNameToken, fullNameToken } from './people.js'
import { createPrf, type Prf } from './prf.js'

/** What a column holds at most. */
export type Fit = {
  /** Characters, of `varchar(n)`. */
  readonly limit?: number
  /** Largest whole number, of an integer type. */
  readonly max?: bigint | null
}

/** Part of the policy's hash: tokens made by another version do not match ours. */
export const TOKEN_VERSION = 3

export type Tokenize = (value: string) => string

export type Tokens = {
  /** The function for one kind and column width, with its own memory of hot tokens. */
  of(kind: TokenKind, fit?: Fit): Tokenize
  token(kind: TokenKind, value: string, fit?: Fit): string
}

export function createTokens(key: Uint8Array, words: Dictionary): Tokens {
  const made = new Map<string, Tokenize>()
  const of = (kind: TokenKind, fit: Fit = {}): Tokenize => {
    const name = `${kind} ${fit.limit ?? ''} ${fit.max ?? ''}`
    const known = made.get(name)
    if (known !== undefined) return known
    const plain = tokenizer(key, words, kind, fit, of)
    const tokenize = hot((value) => (value === '' ? value : plain(value)))
    made.set(name, tokenize)
    return tokenize
  }
  return { of, token: (kind, value, fit) => of(kind, fit)(value) }
}

function tokenizer(key: Uint8Array, words: Dictionary, kind: TokenKind, fit: Fit, of: Tokens['of']): Tokenize {
  const prf = createPrf(key, kind)
  const limit = fit.limit ?? Number.POSITIVE_INFINITY
  switch (kind) {
    case 'email':
      return (value) => emailToken(prf, words, limit, value)
    case 'full_name':
      return (value) => fullNameToken(prf, words, limit, value)
    case 'first_name':
      return (value) => firstNameToken(prf, words, limit, value)
    case 'address':
      return (value) => addressToken(prf, words, limit, value)
    case 'phone':
      return (value) => phoneToken(prf, value)
    case 'iban':
      return (value) => ibanToken(prf, value)
    case 'card':
      return (value) => cardToken(prf, value)
    case 'ip':
      return (value) => ipToken(prf, value)
    case 'uuid':
      return (value) => uuidToken(prf, value)
    case 'digits':
      return (value) => digitsToken(prf, fit.max ?? null, value)
    case 'text': {
      const email = of('email')
      return (value) => (value.includes('@') ? withAddresses(prf, email, limit, value) : patternToken(prf, value))
    }
    case 'date_shift': {
      const days = shiftDays(prf)
      return (value) => dateToken(days, value, (text) => patternToken(prf, text))
    }
    case 'redact':
      return () => '[redacted]'.slice(0, limit)
  }
}

/**
 * E-mail addresses inside a text become the tokens they are in a column of their own: of a domain that belongs to nobody, and a value
 * that lost its column still meets its row.
 */
function withAddresses(prf: Prf, email: Tokenize, limit: number, value: string): string {
  const masked = patternToken(prf, value)
  let out = ''
  let at = 0
  for (const hit of detect(value)) {
    if (hit.detector !== 'email') continue
    out += masked.slice(at, hit.start) + email(value.slice(hit.start, hit.end))
    at = hit.end
  }
  out += masked.slice(at)
  return out.length <= limit ? out : masked
}
