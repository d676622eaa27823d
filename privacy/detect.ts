/**
 * Detectors: personal values that give themselves away by their form, wherever they stand.
 *
 * They run over every text that a policy keeps, so a look at the bytes comes first: most texts hold neither an @ nor seven digits nor
 * one of the few other signs, and cost a few nanoseconds a character.
 */
import type { TokenKind } from './kinds.js'
import { isIban, luhnDigit } from './tokens/numbers.js'

export type Detector = 'email' | 'phone' | 'card' | 'iban' | 'ip' | 'jwt' | 'key'

export type Hit = { readonly detector: Detector; readonly start: number; readonly end: number }

/** What takes the place of a hit. Secrets become text of the same form: there is nothing about them worth keeping. */
export const TOKEN_OF: Readonly<Record<Detector, TokenKind>> = {
  email: 'email',
  phone: 'phone',
  card: 'card',
  iban: 'iban',
  ip: 'ip',
  jwt: 'text',
  key: 'text',
}

type Rule = { readonly detector: Detector; readonly pattern: RegExp; readonly holds?: (text: string) => boolean }

/** First come, first served: a longer and surer form stands above a looser one. */
const RULES: readonly Rule[] = [
  { detector: 'jwt', pattern: /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}/g },
  {
    detector: 'key',
    pattern:
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{36,}\b|\bsk_(?:live|test)_\w{16,}\b|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{35}\b/g,
  },
  {
    detector: 'email',
    pattern: /[\p{L}\p{N}_][\p{L}\p{N}._%+'-]*@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+\p{L}{2,}/gu,
  },
  {
    detector: 'iban',
    pattern: /\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,4})?\b/g,
    holds: (text) => isIban(text.replace(/ /g, '').toUpperCase()),
  },
  {
    detector: 'card',
    pattern:
      /(?<![\w.-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w-])|(?<![\w.-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-])/g,
    holds: (text) => {
      const digits = text.replace(/\D/g, '')
      return digits.length >= 13 && digits.length <= 19 && luhnDigit(digits.slice(0, -1)) === Number(digits.at(-1))
    },
  },
  {
    detector: 'ip',
    pattern: /(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])/g,
  },
  {
    detector: 'ip',
    pattern:
      /(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])|(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){2,6}:(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?(?![\w:])/g,
  },
  {
    // With a country code, or written the way people write numbers: a bare run of digits may be anything.
    detector: 'phone',
    pattern:
      /(?<![\w.+])\+\d(?:[ ()./-]{0,2}\d){6,13}(?!\w)|(?<![\w.+-])(?:\(0?\d{2,5}\)|0\d{2,5})[ /-]\d[\d -]{4,12}\d(?!\w)|(?<![\w.+-])\(?[2-9]\d{2}\)?[ -.][2-9]\d{2}[-.]\d{4}(?!\w)/g,
    holds: (text) => {
      const digits = text.replace(/\D/g, '').length
      return digits >= 7 && digits <= 15
    },
  },
]

/** The least that any hit needs: an @, seven digits in a row of digits and separators, two colons, or the start of a secret. */
export function mayHit(text: string): boolean {
  if (isBareNumber(text)) return false
  let digits = 0
  let colons = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 64) return true
    if (code >= 48 && code <= 57) {
      digits += 1
      if (digits >= 4) return true
    } else if (code === 58) {
      colons += 1
      if (colons >= 2) return true
    } else if (code >= 65 && digits > 0) digits = 0
  }
  return text.length >= 19 && /eyJ|PRIVATE KEY|AKIA|ASIA|gh[pousr]_|sk_|xox|AIza/.test(text)
}

/** A card has thirteen digits, and everything else with digits has more than those. Most parameters are such numbers. */
const BARE_DIGITS_MAX = 12

function isBareNumber(text: string): boolean {
  const first = text.startsWith('-') ? 1 : 0
  if (text.length - first > BARE_DIGITS_MAX) return false
  for (let at = first; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 48 || code > 57) return false
  }
  return true
}

export function detect(text: string): readonly Hit[] {
  return mayHit(text) ? hitsIn(text) : []
}

/** Without the first look. */
export function hitsIn(text: string): readonly Hit[] {
  const hits: Hit[] = []
  for (const { detector, pattern, holds } of RULES) {
    for (const match of text.matchAll(pattern)) {
      const [start, end] = [match.index, match.index + match[0].length]
      if (holds !== undefined && !holds(match[0])) continue
      if (hits.some((hit) => start < hit.end && end > hit.start)) continue
      hits.push({ detector, start, end })
    }
  }
  return hits.sort((a, b) => a.start - b.start)
}

/** The text with every hit replaced. */
export function replaceDetected(text: string, token: (kind: TokenKind, value: string) => string): string {
  const hits = detect(text)
  if (hits.length === 0) return text
  let out = ''
  let at = 0
  for (const hit of hits) {
    out += text.slice(at, hit.start) + token(TOKEN_OF[hit.detector], text.slice(hit.start, hit.end))
    at = hit.end
  }
  return out + text.slice(at)
}
