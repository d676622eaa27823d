/**
 * Dates, times and intervals from their binary form, as PostgreSQL prints them with DateStyle ISO, TimeZone UTC and IntervalStyle
 * postgres.
 */
import { dateText, timeText, two } from './calendar.js'
import { intervalText } from './interval-text.js'

/** PostgreSQL counts from 2000-01-01. */
const EPOCH_DAYS = 10_957
const SECONDS_PER_DAY = 86_400
const MICROSECONDS = 1_000_000n

const INT4_MAX = 0x7fffffff
const INT4_MIN = -0x80000000
const INT8_MAX = 0x7fffffffffffffffn
const INT8_MIN = -0x8000000000000000n

export function dateOfBinary(bytes: Buffer): string {
  const days = bytes.readInt32BE(0)
  if (days === INT4_MAX) return 'infinity'
  if (days === INT4_MIN) return '-infinity'
  const { date, era } = dateText(days + EPOCH_DAYS)
  return date + era
}

export function timestampOfBinary(bytes: Buffer, zone: '' | '+00'): string {
  const at = bytes.readBigInt64BE(0)
  if (at === INT8_MAX) return 'infinity'
  if (at === INT8_MIN) return '-infinity'
  const { seconds, microseconds } = split(at)
  const days = Math.floor(seconds / SECONDS_PER_DAY)
  const { date, era } = dateText(days + EPOCH_DAYS)
  return `${date} ${timeText(seconds - days * SECONDS_PER_DAY, microseconds)}${zone}${era}`
}

export function timeOfBinary(bytes: Buffer): string {
  const { seconds, microseconds } = split(bytes.readBigInt64BE(0))
  return timeText(seconds, microseconds)
}

export function timetzOfBinary(bytes: Buffer): string {
  // Stored as seconds west of Greenwich, shown as hours east.
  const zone = -bytes.readInt32BE(8)
  const size = Math.abs(zone)
  const seconds = size % 60
  const minutes = Math.floor(size / 60) % 60
  let text = `${zone < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}`
  if (minutes !== 0 || seconds !== 0) text += `:${two(minutes)}`
  if (seconds !== 0) text += `:${two(seconds)}`
  return timeOfBinary(bytes) + text
}

export function intervalOfBinary(bytes: Buffer): string {
  const at = bytes.readBigInt64BE(0)
  const days = bytes.readInt32BE(8)
  const months = bytes.readInt32BE(12)
  if (at === INT8_MAX && days === INT4_MAX && months === INT4_MAX) return 'infinity'
  if (at === INT8_MIN && days === INT4_MIN && months === INT4_MIN) return '-infinity'
  return intervalText({ months: BigInt(months), days: BigInt(days), microseconds: at })
}

/** Rounds down, so that microseconds are never negative. */
function split(at: bigint): { readonly seconds: number; readonly microseconds: number } {
  const rest = at % MICROSECONDS
  const microseconds = rest < 0n ? rest + MICROSECONDS : rest
  return { seconds: Number((at - microseconds) / MICROSECONDS), microseconds: Number(microseconds) }
}
