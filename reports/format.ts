/**
 * Numbers, times and shares as people read them. One place, so that page, table, comment and gate say the same thing.
 */

const GROUPED = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `1,204` */
export function count(value: number): string {
  return GROUPED.format(value)
}

/** `1 finding`, `8 findings`. */
export function counted(value: number, singular: string, plural = `${singular}s`): string {
  return `${count(value)} ${value === 1 ? singular : plural}`
}

/** `0.42 ms`, `8.3 ms`, `312 ms`, `1.24 s`. */
export function milliseconds(ms: number): string {
  if (ms >= 60_000) return duration(ms)
  if (ms >= 1_000) return `${(ms / 1000).toFixed(2)} s`
  if (ms >= 100) return `${ms.toFixed(0)} ms`
  if (ms >= 10) return `${ms.toFixed(1)} ms`
  return `${ms.toFixed(2)} ms`
}

/** A share as a percentage. What is not nothing never reads as 0%, what is not everything never as 100%. */
export function percent(share: number): string {
  const value = share * 100
  if (value === 0) return '0%'
  if (value === 100) return '100%'
  if (value < 0.01) return '< 0.01%'
  if (value > 99.99 && value < 100) return '> 99.99%'
  if (value < 0.1) return `${value.toFixed(2)}%`
  if (value < 10) return `${value.toFixed(1)}%`
  if (value > 99) return `${(Math.floor(value * 100) / 100).toFixed(2)}%`
  return `${value.toFixed(0)}%`
}

/** `1.42×`, `12×`. */
export function ratio(value: number): string {
  if (!Number.isFinite(value)) return '—'
  return `${value.toFixed(value >= 10 ? 0 : 2)}×`
}

/** `850 ms`, `42 s`, `7 min 05 s`, `1 h 02 min`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return seconds < 10 ? `${(ms / 1000).toFixed(1)} s` : `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`
}

/** `20 November 2026, 19:36 UTC`. */
export function instant(epochMs: number): string {
  const date = new Date(epochMs)
  if (Number.isNaN(date.getTime())) return 'unknown'
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`
  return `${day}, ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`
}

/** Position on the replay's clock: `0:07`, `12:30`, `1:02:30`; a second has come when it is full. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  const tail = two(seconds % 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/** Service time won or lost per second of production's traffic: `+12.4 ms/s`. */
export function impact(msPerSecond: number): string {
  const size = Math.abs(msPerSecond)
  if (size < 0.005) return '±0'
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2
  return `${msPerSecond > 0 ? '+' : '−'}${size.toFixed(digits)} ms/s`
}
