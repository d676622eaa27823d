/**
 * Points in time in the one form that equal ones share: to the microsecond, in UTC, `2026-01-31 04:05:06.789` without a zone, so
 * that the session's TimeZone does not matter and `timestamp` to `timestamptz` is a change of type, not of value.
 *
 * Only the ISO DateStyle can be understood without knowing the session; other texts are left as they are.
 */
import { dateText, daysOf, timeText } from './calendar.js'

const TIMESTAMPTZ =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d{1,6})?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/

export function canonicalTimestamptz(text: string): string {
  const match = TIMESTAMPTZ.exec(text)
  if (match === null) return text
  const [, year, month, day, hour, minute, second, fraction = '', sign, zoneHour, zoneMinute, zoneSecond, era] = match
  const astronomicalYear = era === undefined ? Number(year) : 1 - Number(year)
  const zone = Number(zoneHour) * 3600 + Number(zoneMinute ?? 0) * 60 + Number(zoneSecond ?? 0)
  const days = daysOf({ year: astronomicalYear, month: Number(month), day: Number(day) })
  const local = days * 86_400 + Number(hour) * 3600 + Number(minute) * 60 + Number(second)
  const utc = sign === '+' ? local - zone : local + zone
  const utcDays = Math.floor(utc / 86_400)
  const { date, era: utcEra } = dateText(utcDays)
  const microseconds = Number(fraction.slice(1).padEnd(6, '0'))
  return `${date} ${timeText(utc - utcDays * 86_400, microseconds)}${utcEra}`
}
