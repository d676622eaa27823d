/**
 * What a gate says in a sentence. What was not judged is never among what holds.
 */
import { counted } from './format.js'
import type { GateLine } from './gate.js'
import { quantity } from './quantity.js'

const UNJUDGED_NAMED_MAX = 4

/** `All 19 checks of the gate hold.`, `All 19 checks that were judged hold. Not judged: …` */
export function holdWords(lines: readonly GateLine[]): string {
  const unjudged = lines.filter(({ outcome }) => outcome === 'not judged')
  const judged = counted(lines.length - unjudged.length, 'check')
  if (unjudged.length === 0) return `All ${judged} of the gate hold.`
  const named = unjudged.slice(0, UNJUDGED_NAMED_MAX).map(({ title }) => title)
  const more = unjudged.length > named.length ? ` and ${unjudged.length - named.length} more` : ''
  return `All ${judged} that could be judged hold. Not judged: ${named.join('; ')}${more}.`
}

/** `Statements compared: 93% (at least 95%)` */
export function lineWords({ title, actual, unit, bound, threshold }: GateLine): string {
  const value = actual === null ? 'not measured' : quantity(actual, unit)
  return `${title}: ${value} (${bound === 'max' ? 'at most' : 'at least'} ${quantity(threshold, unit)})`
}
