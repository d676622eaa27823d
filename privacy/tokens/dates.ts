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

/** What a date that cannot be read becomes: a valid one that says nothing. */
const UNREADABLE = '2000-01-01'

export function dateToken(days: number, value: string): string {
  if (SPECIAL.test(value)) return value
  const iso = ISO.exec(value)
  if (iso !== null) {
    const [, before = '', year = '', month = '', day = '', time = '', era = ''] = iso
    if (/\p{L}{3,}/u.test(time) && !/^[T ][\d:.]+ [A-Z][\w/+-]*$/.test(time)) return UNREADABLE
    const shown = shifted(era === '' ? Number(year) : 1 - Number(year), Number(month), Number(day), days)
    return shown === null ? UNREADABLE : `${before}${shown.text}${time}${shown.bc ? ' BC' : ''}`
  }
  const compact = COMPACT.exec(value)
  if (compact !== null) {
    const shown = shifted(Number(compact[1]), Number(compact[2]), Number(compact[3]), days)
    if (shown !== null && !shown.bc) return shown.text.replaceAll('-', '')
  }
  return UNREADABLE
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
