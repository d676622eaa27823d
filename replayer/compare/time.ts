/**
 * Reading moments out of PostgreSQL's text, for values that may have been made during the replay.
 */

export type Moment = {
  /** Microseconds since the epoch; a value without a zone is read as if it were UTC. */
  readonly atUs: number
  readonly zoned: boolean
  /** A date without a time of day. */
  readonly day: boolean
}

export const TIMESTAMP_OID = 1114
export const TIMESTAMPTZ_OID = 1184
export const HOUR_US = 3_600_000_000
export const DAY_US = 24 * HOUR_US
/** Zones are a multiple of a quarter of an hour away from UTC. */
export const QUARTER_US = HOUR_US / 4

const MOMENT = /(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?/
const WHOLE = new RegExp(`^${MOMENT.source}$`)

/** null: not a moment (`infinity`, years before Christ, another DateStyle). */
export function momentOf(text: string): Moment | null {
  const found = WHOLE.exec(text)
  return found === null ? null : fromMatch(found)
}

/** The moments inside a longer text (JSON, arrays, rows) and the text with a mark in their place. */
export function momentsIn(text: string): { readonly moments: readonly Moment[]; readonly rest: string } {
  const moments: Moment[] = []
  const rest = text.replace(new RegExp(MOMENT.source, 'g'), (...found) => {
    const moment = fromMatch(found as unknown as RegExpExecArray)
    if (moment === null) return String(found[0])
    moments.push(moment)
    return '\0'
  })
  return { moments, rest }
}

function fromMatch(found: readonly (string | undefined)[]): Moment | null {
  const [, year, month, day, hour, minute, second, fraction, zone] = found
  const ms = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour ?? 0),
    Number(minute ?? 0),
    Number(second ?? 0),
  )
  if (Number.isNaN(ms)) return null
  const atUs = ms * 1000 + Number((fraction ?? '').padEnd(6, '0'))
  return { atUs: atUs - zoneUs(zone), zoned: zone !== undefined, day: hour === undefined }
}

function zoneUs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const [hours, minutes = '0', seconds = '0'] = zone.slice(1).match(/\d\d/g) ?? ['0']
  return (zone[0] === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1_000_000
}
