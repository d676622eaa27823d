/**
 * A gate's value in its own unit.
 */
import { count, milliseconds, percent, ratio } from './format.js'
import type { GateLine } from './gate.js'

export function quantity(value: number, unit: GateLine['unit']): string {
  if (!Number.isFinite(value)) return 'any'
  if (unit === 'count') return count(value)
  if (unit === 'share') return percent(value)
  return unit === 'ratio' ? ratio(value) : milliseconds(value)
}
