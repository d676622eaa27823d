/**
 * Dates move by one keyed number of whole weeks, the same for all: order, distances and weekdays stay; the date does not.
 */
import { number32, type Prf } from './prf.js'

const WEEKS_MIN = 26
const WEEKS_MAX = 260
const DAY_MS = 86_400_000

/** Days to move back; always back, so that a birthday never lies in the future. */
export function shiftDays(prf: Prf): number {
  return 7 * (WEEKS_MIN + (number32(prf('shift'), 0) % (WEEKS_MAX - WEEKS_MIN + 1)))
}

const ISO = /^(\s*)(\d{4,6})-(\d{1,2})-(\d{1,2})(.*?)( BC)?$/s
const COMPACT = /^(\d{4})(\d{2})(\d{2})$/
/** These name no date of anybody. */
const SPECIAL = /^\s*(-?infinity|epoch|now|today|tomorrow|yesterday|allballs)\s*$/i

/** May be a date in a style we do not read; the server does. Anything else is none for it either, and stays none. */
const PERHAPS = /^[\s\d/.,:+-]*([A-Za-z]{3,9}[\s\d/.,:+-]*){0,2}$/
const MONTH = /jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec/i

/** What a date that cannot be read becomes: a valid one that says nothing. */
const UNREADABLE = '2000-01-01'

/** `other` says what becomes of a text that is no date. */
export function dateToken(days: number, value: string, other: (value: string) => string): string {
  if (SPECIAL.test(value)) return value
  const iso = ISO.exec(value)
  if (iso !== null) {
    const [, before = '', year = '', month = '', day = '', time = '', era = ''] = iso
    if (/\p{L}{3,}/u.test(time) && !/^[T ][\d:.]+ [A-Z][\w/+-]*$/.test(time)) return unread(value, other)
    const shown = shifted(era === '' ? Number(year) : 1 - Number(year), Number(month), Number(day), days)
    return shown === null ? unread(value, other) : `${before}${shown.text}${time}${shown.bc ? ' BC' : ''}`
  }
  const compact = COMPACT.exec(value)
  if (compact !== null) {
    const shown = shifted(Number(compact[1]), Number(compact[2]), Number(compact[3]), days)
    if (shown !== null && !shown.bc) return shown.text.replaceAll('-', '')
  }
  return unread(value, other)
}

function unread(value: string, other: (value: string) => string): string {
  return PERHAPS.test(value) && /\d/.test(value) && (MONTH.test(value) || !/[A-Za-z]/.test(value))
    ? UNREADABLE
    : other(value)
}

function shifted(year: number, month: number, day: number, days: number): { text: string; bc: boolean } | null {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null
  const moved = new Date(date.getTime() - days * DAY_MS)
  const movedYear = moved.getUTCFullYear()
  const bc = movedYear <= 0
  const shown = String(bc ? 1 - movedYear : movedYear).padStart(4, '0')
  const two = (number: number): string => String(number).padStart(2, '0')
  return { text: `${shown}-${two(moved.getUTCMonth() + 1)}-${two(moved.getUTCDate())}`, bc }
}
