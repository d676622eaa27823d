/**
 * An interval's three fields as style postgres writes them: `1 year 2 mons -3 days +04:05:06.7`.
 */
import { fractionText } from './calendar.js'

export type IntervalFields = { readonly months: bigint; readonly days: bigint; readonly microseconds: bigint }

const MICROSECONDS = 1_000_000n

export function intervalText({ months, days, microseconds }: IntervalFields): string {
  const parts: string[] = []
  // After a negative part a positive one says so.
  let negative = false
  for (const [value, unit] of [
    [months / 12n, 'year'],
    [months % 12n, 'mon'],
    [days, 'day'],
  ] as const) {
    if (value === 0n) continue
    parts.push(`${negative && value > 0n ? '+' : ''}${value} ${unit}${value === 1n ? '' : 's'}`)
    negative = value < 0n
  }
  if (microseconds !== 0n || parts.length === 0) {
    const sign = microseconds < 0n ? '-' : negative ? '+' : ''
    const size = microseconds < 0n ? -microseconds : microseconds
    const seconds = size / MICROSECONDS
    const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map((part) => String(part).padStart(2, '0'))
    parts.push(`${sign}${clock.join(':')}${fractionText(Number(size % MICROSECONDS))}`)
  }
  return parts.join(' ')
}
