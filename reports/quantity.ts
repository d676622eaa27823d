/**
 * A line of the gate, as it is shown: its values in their own unit, and whether they need words.
 */
import { count, milliseconds, percent, ratio } from './format.js'
import type { GateLine } from './gate.js'

export function quantity(value: number, unit: GateLine['unit']): string {
  if (!Number.isFinite(value)) return 'any'
  if (unit === 'count') return count(value)
  if (unit === 'share') return percent(value)
  return unit === 'ratio' ? ratio(value) : milliseconds(value)
}

/** A line that holds although its value is beyond the limit (the interval reaches below it) has to say why. */
export function needsExplaining(line: GateLine): boolean {
  if (line.outcome !== 'pass') return true
  if (line.actual === null) return false
  return line.bound === 'max' ? line.actual > line.threshold : line.actual < line.threshold
}
