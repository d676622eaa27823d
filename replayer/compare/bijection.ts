/**
 * Generated values, equal modulo renaming: where one run drew 17 and the other drew 23, 17 and 23 must stand for each other
 * everywhere in that domain (a generated column and the foreign keys that point at it). A wrong foreign key still shows.
 */

/** Beyond this, pairs cannot be remembered and so cannot be checked; `forgotten` says how many. */
const PAIRS_MAX = 2_000_000

type Domain = { readonly forward: Map<string, string>; readonly back: Map<string, string> }

export class Bijection {
  readonly #domains = new Map<string, Domain>()
  readonly #pairsMax: number
  #pairs = 0
  forgotten = 0

  constructor(pairsMax = PAIRS_MAX) {
    this.#pairsMax = pairsMax
  }

  /** Notes that the two stand for each other; false when either already stands for something else. */
  learn(domain: string, before: string, after: string): boolean {
    const known = this.agrees(domain, before, after)
    if (known !== undefined) return known
    if (this.#pairs >= this.#pairsMax) {
      this.forgotten += 1
      return true
    }
    const { forward, back } = this.#domain(domain)
    forward.set(before, after)
    back.set(after, before)
    this.#pairs += 1
    return true
  }

  /** undefined: neither has been seen in this domain. */
  agrees(domain: string, before: string, after: string): boolean | undefined {
    const found = this.#domains.get(domain)
    const forward = found?.forward.get(before)
    const back = found?.back.get(after)
    if (forward === undefined && back === undefined) return undefined
    return forward === after && back === before
  }

  /** What stands for a value of the first run in the second; undefined: nobody has said yet. */
  counterpart(domain: string, before: string): string | undefined {
    return this.#domains.get(domain)?.forward.get(before)
  }

  /** Some value of the first run is known to be this one in the second. */
  reaches(domain: string, after: string): boolean {
    return this.#domains.get(domain)?.back.has(after) ?? false
  }

  #domain(name: string): Domain {
    let domain = this.#domains.get(name)
    if (domain === undefined) {
      domain = { forward: new Map(), back: new Map() }
      this.#domains.set(name, domain)
    }
    return domain
  }
}
