/**
 * Days and dates of the proleptic Gregorian calendar, as PostgreSQL counts: there is a year 0 inside, printed as 1 BC.
 */

export type CivilDate = { readonly year: number; readonly month: number; readonly day: number }

/** Days since 1970-01-01. */
export function daysOf({ year, month, day }: CivilDate): number {
  // Years begin in March, so that the leap day comes last.
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

function dateOf(days: number): CivilDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return { year, month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 }
}

export function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** `2026-01-31`, and ` BC` apart, because a time of day may stand between. */
export function dateText(days: number): { readonly date: string; readonly era: '' | ' BC' } {
  const { year, month, day } = dateOf(days)
  const shown = year > 0 ? year : 1 - year
  return { date: `${String(shown).padStart(4, '0')}-${two(month)}-${two(day)}`, era: year > 0 ? '' : ' BC' }
}

/** `04:05:06.789`, fraction without trailing zeros. */
export function timeText(secondsOfDay: number, microseconds: number): string {
  const hours = Math.floor(secondsOfDay / 3600)
  const minutes = Math.floor(secondsOfDay / 60) % 60
  return `${two(hours)}:${two(minutes)}:${two(secondsOfDay % 60)}${fractionText(microseconds)}`
}

export function fractionText(microseconds: number): string {
  return microseconds === 0 ? '' : `.${String(microseconds).padStart(6, '0').replace(/0+$/, '')}`
}
