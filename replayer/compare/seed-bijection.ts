/**
 * The replays know what they drew in place of what production drew; through production's value the two runs' values meet.
 */
import type { RunSource } from '../../segment/run-source.js'
import type { Bijection } from './bijection.js'

/** `drawsAlike`: a run that says nothing of a value of this domain drew what production drew, as sequences do. */
export function seedBijection(
  bijection: Bijection,
  before: RunSource,
  after: RunSource,
  drawsAlike: (domain: string) => boolean,
): void {
  const left = new Map<string, { readonly domain: string; readonly recorded: string; readonly actual: string }>()
  for (const pair of before.mapped()) left.set(`${pair.domain}\0${pair.recorded}`, pair)
  // Production's own run maps nothing: its values are the recorded ones.
  const silent = (domain: string, role: string) => role === 'production' || drawsAlike(domain)
  for (const { domain, recorded, actual } of after.mapped()) {
    const key = `${domain}\0${recorded}`
    const other = left.get(key)?.actual ?? (silent(domain, before.facts.role) ? recorded : undefined)
    left.delete(key)
    if (other !== undefined) bijection.learn(domain, other, actual)
  }
  for (const { domain, recorded, actual } of left.values())
    if (silent(domain, after.facts.role)) bijection.learn(domain, actual, recorded)
}
