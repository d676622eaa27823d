/** A counter that went from 4 to 5 was raised before it went from 5 to 6: updates by a known step that returned the result. */
import { type Clock, listed, overlapping } from './evidence.js'

type Step = { readonly statement: number; readonly before: number; readonly after: number }

export class Steps {
  readonly #byMember = new Map<number, Step[]>()

  note(member: number, step: Step): void {
    listed(this.#byMember, member, step)
  }

  /** Statements that came one after the other. */
  *orders(clock: Clock): Generator<number[]> {
    for (const steps of this.#byMember.values()) {
      if (steps.length < 2) continue
      for (const run of overlapping(steps, clock)) yield chained(run).map((step) => step.statement)
    }
  }
}

/** Steps linked by value: each begins where the one before ended. Without one clear chain, nothing is said. */
function chained(run: readonly Step[]): Step[] {
  const byBefore = new Map(run.map((step) => [step.before, step]))
  const reached = new Set(run.map((step) => step.after))
  const starts = run.filter((step) => !reached.has(step.before))
  if (byBefore.size !== run.length || starts.length !== 1) return []
  const chain: Step[] = []
  for (let step = starts[0]; step; step = byBefore.get(step.after)) {
    if (chain.length === run.length) return []
    chain.push(step)
  }
  return chain.length === run.length ? chain : []
}
