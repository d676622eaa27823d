/**
 * The replays know what they drew in place of what production drew; through production's value the two runs' values meet.
 */
import type { RunSource } from '../../segment/run-source.js'
import type { Bijection } from './bijection.js'

export function seedBijection(bijection: Bijection, before: RunSource, after: RunSource): void {
  const ofBefore = new Map<string, string>()
  for (const { domain, recorded, actual } of before.mapped()) ofBefore.set(`${domain}\0${recorded}`, actual)
  for (const { domain, recorded, actual } of after.mapped()) {
    // Production's own run maps nothing: its values are the recorded ones.
    const other = ofBefore.get(`${domain}\0${recorded}`) ?? (before.facts.role === 'production' ? recorded : undefined)
    if (other !== undefined) bijection.learn(domain, other, actual)
  }
}
