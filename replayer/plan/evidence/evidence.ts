/**
 * Evidence: what outcomes say about who really came first. Gathering notes it, placing points asks each kind for the orders that
 * follow. The clock is only a hint: several answers can be ready in one turn of an event loop.
 */
import type { SequencePosition } from '../../../segment/catalog.js'
import { Draws } from './draws.js'
import { Picks } from './picks.js'
import { Sightings } from './sightings.js'
import { Steps } from './steps.js'

export class Evidence {
  readonly sightings = new Sightings()
  readonly draws: Draws
  readonly picks = new Picks()
  readonly steps = new Steps()

  constructor(positions: ReadonlyMap<number, SequencePosition>) {
    this.draws = new Draws(positions)
  }
}

/** When statements were sent and answered. */
export type Clock = { readonly sentUs: Float64Array; readonly doneUs: Float64Array }

/** Runs of statements whose intervals overlap: only inside such a run does the clock leave the order open. */
export function overlapping<T extends { readonly statement: number }>(items: readonly T[], clock: Clock): T[][] {
  const sorted = items.toSorted((a, b) => clock.sentUs[a.statement]! - clock.sentUs[b.statement]!)
  const runs: T[][] = []
  let until = -1
  for (const item of sorted) {
    if (clock.sentUs[item.statement]! < until) runs.at(-1)!.push(item)
    else runs.push([item])
    until = Math.max(until, clock.doneUs[item.statement]!)
  }
  return runs.filter((run) => run.length > 1)
}

export function listed<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const found = map.get(key)
  if (found) found.push(value)
  else map.set(key, [value])
}
