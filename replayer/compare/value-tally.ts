/**
 * How often each kind of statement was given which value, so that a value that all differing statements share can be told from one
 * that all statements share. Bounded: of parameters with many values nothing can be said, and nothing needs to be.
 */
const KINDS_MAX = 5_000
const PARAMETERS_MAX = 12
const VALUES_MAX = 64
const LENGTH_MAX = 60
/** Before so many, a share is an accident. */
const SEEN_MIN = 10

type Counts = { total: number; readonly values: Map<string, number> | null }

export class ValueTally {
  readonly #kinds = new Map<string, Counts[]>()

  note(fingerprint: string, parameters: readonly (string | null)[]): void {
    if (parameters.length === 0) return
    let kind = this.#kinds.get(fingerprint)
    if (kind === undefined) {
      if (this.#kinds.size >= KINDS_MAX) return
      kind = parameters.slice(0, PARAMETERS_MAX).map(() => ({ total: 0, values: new Map() }))
      this.#kinds.set(fingerprint, kind)
    }
    for (const [at, counts] of kind.entries()) {
      if (counts.values === null) continue
      const value = parameters[at] ?? ''
      const known = counts.values.get(value)
      if (value.length > LENGTH_MAX || (known === undefined && counts.values.size >= VALUES_MAX)) {
        kind[at] = { total: 0, values: null }
        continue
      }
      counts.total += 1
      counts.values.set(value, (known ?? 0) + 1)
    }
  }

  /** Of the executions so far, the share that was given this value; null: nobody knows. `parameter` counts from 1. */
  share(fingerprint: string, parameter: number, value: string): number | null {
    const counts = this.#kinds.get(fingerprint)?.[parameter - 1]
    if (counts === undefined || counts.values === null || counts.total < SEEN_MIN) return null
    return (counts.values.get(value) ?? 0) / counts.total
  }
}
