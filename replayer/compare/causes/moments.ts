/**
 * What a migration does to moments.
 */
import { DAY_US, HOUR_US, type Moment, momentOf, QUARTER_US } from '../time.js'
import type { ValueExplainer } from './cause.js'

type Match = (a: Moment, b: Moment) => string | null

function ofMoments(name: string, match: Match, says: ValueExplainer['says']): ValueExplainer {
  return {
    name,
    match(before, after) {
      const a = momentOf(before)
      const b = momentOf(after)
      return a === null || b === null ? null : match(a, b)
    },
    says,
  }
}

/** `5 hours earlier`, `30 minutes later`. */
export function shiftInWords(shiftUs: number): string {
  const how = shiftUs < 0 ? 'earlier' : 'later'
  const size = Math.abs(shiftUs)
  const [count, unit] =
    size % DAY_US === 0
      ? [size / DAY_US, 'day']
      : size % HOUR_US === 0
        ? [size / HOUR_US, 'hour']
        : [size / (HOUR_US / 60), 'minute']
  return `${count} ${unit}${count === 1 ? '' : 's'} ${how}`
}

/** No zone is farther from another than from -12 to +14. */
const ZONES_APART_MAX_US = 26 * HOUR_US

const zone = ofMoments(
  'moment.zone',
  (a, b) => {
    const shift = b.atUs - a.atUs
    return shift !== 0 && shift % QUARTER_US === 0 && Math.abs(shift) <= ZONES_APART_MAX_US && !a.day && !b.day
      ? shiftInWords(shift)
      : null
  },
  (shift) => (shift === null ? 'is off by whole hours (time zone)' : `is exactly ${shift} (time zone)`),
)

const day = ofMoments(
  'moment.day',
  (a, b) => (a.day && b.day && Math.abs(a.atUs - b.atUs) === DAY_US ? shiftInWords(b.atUs - a.atUs) : null),
  (shift) => (shift === null ? 'is off by a day (time zone)' : `is ${shift} (time zone)`),
)

const timeOfDay = ofMoments(
  'moment.time_of_day',
  (a, b) =>
    a.atUs !== b.atUs && (b.day || b.atUs % DAY_US === 0) && a.atUs - (((a.atUs % DAY_US) + DAY_US) % DAY_US) === b.atUs
      ? ''
      : null,
  () => 'has lost its time of day',
)

const fraction = ofMoments(
  'moment.fraction',
  (a, b) => {
    for (const [unitUs, name] of [
      [1000, 'milliseconds'],
      [1_000_000, 'seconds'],
      [60_000_000, 'minutes'],
    ] as const)
      if (b.atUs % unitUs === 0 && a.atUs % unitUs !== 0 && Math.abs(a.atUs - b.atUs) < unitUs) return name
    return null
  },
  (unit) => (unit === null ? 'has lost precision' : `has lost precision (whole ${unit})`),
)

export const MOMENT_EXPLAINERS: readonly ValueExplainer[] = [zone, day, timeOfDay, fraction]
