/**
 * Tokens of numbers people are known by: digits stay digits, one to one, and check digits stay right.
 */
import { permute, permuteDecimal } from './feistel.js'
import { patternToken } from './pattern.js'
import type { Prf } from './prf.js'

/**
 * The whole part of a number, permuted among the numbers of as many digits. The sign, leading zeros, the fraction and an exponent
 * stay, so `007`, `7` and `7.0` stay as different or equal as they were. `max` is the largest the column can hold.
 */
export function digitsToken(prf: Prf, max: bigint | null, value: string): string {
  if (/^[+-]?0+$/.test(value)) return value // none
  const parts = /^(\s*[+-]?0*)([1-9]\d*)(\D.*)?$/s.exec(value)
  if (parts === null) return /\p{L}/u.test(value) ? patternToken(prf, value) : permuteRuns(prf, value)
  const [, before = '', whole = '', after = ''] = parts
  if (after !== '' && !/^(\.\d*)?([eE][+-]?\d+)?\s*$/.test(after)) return permuteRuns(prf, value)
  let token = whole
  do token = permuteWhole(prf, token)
  while (max !== null && BigInt(whole) <= max && BigInt(token) > max)
  return before + token + after
}

/** The first digit is never zero, before or after. */
function permuteWhole(prf: Prf, whole: string): string {
  const token = permuteDecimal(prf, 'digits', whole, true)
  if (token !== null) return token
  const digits = Array.from(whole, Number)
  digits[0]! -= 1
  permute(prf, 'digits', digits, [9, ...Array<number>(whole.length - 1).fill(10)])
  digits[0]! += 1
  return digits.join('')
}

/** `2024-17/3`, `12 34 56`: all digits of the value as one number, every other character where it was. */
function permuteRuns(prf: Prf, value: string): string {
  return replaceDigits(value, permutedDigits(prf, 'runs', value.replace(/\D/g, '')))
}

function permutedDigits(prf: Prf, tweak: string, text: string): string {
  if (text === '') return text
  const token = permuteDecimal(prf, tweak, text, false)
  if (token !== null) return token
  const digits = Array.from(text, Number)
  permute(prf, tweak, digits, Array<number>(digits.length).fill(10))
  return digits.join('')
}

function replaceDigits(value: string, digits: string): string {
  let next = 0
  return value.replace(/\d/g, () => digits[next++]!)
}

/** International or trunk prefix: kept, so that a number stays one of its country. */
const PHONE_PREFIX = /^(\+(?:1|7|[2-9]\d)|00(?:1|7|[2-9]\d)|0)/

/** Keeps the way it is written, `+49 (170) 123-45`; the same number written otherwise gets the same digits. */
export function phoneToken(prf: Prf, value: string): string {
  if (/\p{L}/u.test(value.replace(/\b(ext|x)\b/gi, ''))) return patternToken(prf, value)
  const dialled = value.replace(/[^\d+]/g, '')
  const prefix = PHONE_PREFIX.exec(dialled)?.[0] ?? ''
  const own = dialled.slice(prefix.length).replace(/\D/g, '')
  const zeros = /^0*/.exec(own)![0]
  const rest = own.slice(zeros.length)
  const token = rest === '' ? '' : permuteWhole(prf, rest)
  return replaceDigits(value, prefix.replace(/\D/g, '') + zeros + token)
}

/** The digit that makes a number pass Luhn's check. */
export function luhnDigit(digits: string): number {
  let sum = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48
    const doubled = at % 2 === 0 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return (10 - (sum % 10)) % 10
}

/** Keeps length, format, the scheme's first digit, and how far the check digit is from right: valid stays valid. */
export function cardToken(prf: Prf, value: string): string {
  const digits = value.replace(/\D/g, '')
  if (digits.length < 3 || /\p{L}/u.test(value)) return patternToken(prf, value)
  const body = digits.slice(1, -1)
  const off = (Number(digits.at(-1)) - luhnDigit(digits.slice(0, -1)) + 10) % 10
  const kept = digits[0]!
  const token = kept + permutedDigits(prf, `card ${kept}`, body)
  return replaceDigits(value, token + ((luhnDigit(token) + off) % 10))
}

/** The two digits that make an IBAN valid (ISO 7064, mod 97-10). */
export function ibanCheck(country: string, account: string): string {
  let rest = 0
  for (const character of `${account}${country}00`) {
    const code = character.charCodeAt(0)
    const value = code <= 57 ? code - 48 : code - 55
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return String(98 - rest).padStart(2, '0')
}

const IBAN = /^[A-Z]{2}\d{2}[A-Z0-9]{10,30}$/

export function isIban(compact: string): boolean {
  return IBAN.test(compact) && ibanCheck(compact.slice(0, 2), compact.slice(4)) === compact.slice(2, 4)
}

/** Keeps the country, the format and validity by ISO 7064; check digits that a country has inside the account number are not kept. */
export function ibanToken(prf: Prf, value: string): string {
  const compact = value.replace(/[\s-]/g, '').toUpperCase()
  if (!isIban(compact)) return patternToken(prf, value)
  const country = compact.slice(0, 2)
  const account = patternToken(prf, compact.slice(4))
  const token = country + ibanCheck(country, account) + account
  const lower = /[a-z]/.test(value)
  let next = 0
  return value.replace(/[0-9A-Za-z]/g, () => (lower ? token[next++]!.toLowerCase() : token[next++]!))
}
