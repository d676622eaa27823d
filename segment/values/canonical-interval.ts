/**
 * Intervals in the one form that equal ones share, whatever the session's IntervalStyle: as style postgres writes them. PostgreSQL's
 * three fields stay apart: `1 mon` and `30 days` are equal to `=`, but no client sees the same.
 */
import { type IntervalFields, intervalText } from './interval-text.js'

/** Style postgres, which most sessions have, is canonical as it is: words of units, and then no more than a time of day. */
const POSTGRES = /^(?:[+-]?\d+ (?:year|mon|day)s?(?: |$))*(?:[+-]?\d{2,}:\d\d:\d\d(?:\.\d*[1-9])?)?$/

export function canonicalInterval(text: string): string {
  if (text !== '' && POSTGRES.test(text)) return text
  const fields = verbose(text) ?? iso(text) ?? sqlStandard(text)
  return fields === null ? text : intervalText(fields)
}

const MONTHS_OF: Readonly<Record<string, bigint>> = { year: 12n, mon: 1n }
const MICROSECONDS_OF: Readonly<Record<string, bigint>> = {
  hour: 3_600_000_000n,
  min: 60_000_000n,
  sec: 1_000_000n,
}

const VERBOSE = /^@(?: 0|(?: -?\d+(?:\.\d+)? (?:year|mon|day|hour|min|sec)s?)+)( ago)?$/

/** `@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago`. */
function verbose(text: string): IntervalFields | null {
  const whole = VERBOSE.exec(text)
  if (whole === null) return null
  const fields = sum(
    [...text.matchAll(/(-?\d+(?:\.\d+)?) (year|mon|day|hour|min|sec)/g)].map(([, value, unit]) => [value!, unit!]),
  )
  return whole[1] === undefined ? fields : negated(fields)
}

const ISO = /^P(?=.)(?:-?\d+Y)?(?:-?\d+M)?(?:-?\d+D)?(?:T(?=.)(?:-?\d+H)?(?:-?\d+M)?(?:-?\d+(?:\.\d+)?S)?)?$/

/** `P1Y2M-3DT4H5M6.7S`. */
function iso(text: string): IntervalFields | null {
  if (!ISO.test(text)) return null
  const [date = '', time = ''] = text.slice(1).split('T')
  const parts = (part: string, units: Readonly<Record<string, string>>) =>
    [...part.matchAll(/(-?\d+(?:\.\d+)?)([A-Z])/g)].map(([, value, unit]): [string, string] => [value!, units[unit!]!])
  return sum([...parts(date, { Y: 'year', M: 'mon', D: 'day' }), ...parts(time, { H: 'hour', M: 'min', S: 'sec' })])
}

const CLOCK = String.raw`(\d+):(\d\d):(\d\d(?:\.\d+)?)`
const SQL_STANDARD = [
  /^0$/,
  /^(?<sign>-)?(?<years>\d+)-(?<months>\d+)$/,
  new RegExp(String.raw`^(?<sign>-)?(?:(?<days>\d+) )?(?<clock>${CLOCK})$`),
  new RegExp(
    String.raw`^(?<signOfMonths>[+-])(?<years>\d+)-(?<months>\d+) (?<signOfDays>[+-])(?<days>\d+) (?<signOfClock>[+-])(?<clock>${CLOCK})$`,
  ),
]

/** `-1-2`, `3 4:05:06`, `+1-2 -3 +4:05:06`; one sign in front is of all that follows. */
function sqlStandard(text: string): IntervalFields | null {
  for (const form of SQL_STANDARD) {
    const found = form.exec(text)
    if (found === null) continue
    const part = found.groups ?? {}
    const of = (sign: string | undefined, value: string | undefined) => `${sign === '-' ? '-' : ''}${value ?? '0'}`
    const [hours = '0', minutes = '0', seconds = '0'] = (part.clock ?? '').split(':').filter((one) => one !== '')
    return sum([
      [of(part.signOfMonths ?? part.sign, part.years), 'year'],
      [of(part.signOfMonths ?? part.sign, part.months), 'mon'],
      [of(part.signOfDays ?? part.sign, part.days), 'day'],
      [of(part.signOfClock ?? part.sign, hours), 'hour'],
      [of(part.signOfClock ?? part.sign, minutes), 'min'],
      [of(part.signOfClock ?? part.sign, seconds), 'sec'],
    ])
  }
  return null
}

function sum(parts: readonly (readonly [value: string, unit: string])[]): IntervalFields {
  const fields = { months: 0n, days: 0n, microseconds: 0n }
  for (const [value, unit] of parts) {
    if (unit === 'day') fields.days += BigInt(value)
    else if (unit in MONTHS_OF) fields.months += BigInt(value) * MONTHS_OF[unit]!
    else fields.microseconds += scaled(value, MICROSECONDS_OF[unit]!)
  }
  return fields
}

/** Only seconds have a fraction. */
function scaled(value: string, unit: bigint): bigint {
  const [whole = '0', fraction = ''] = value.replace('-', '').split('.')
  const size = BigInt(whole) * unit + (BigInt(fraction.slice(0, 6).padEnd(6, '0')) * unit) / 1_000_000n
  return value.startsWith('-') ? -size : size
}

function negated({ months, days, microseconds }: IntervalFields): IntervalFields {
  return { months: -months, days: -days, microseconds: -microseconds }
}
