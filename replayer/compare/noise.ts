/**
 * What differs by itself: learnt from two runs on the same schema.
 *
 * Counted per kind of statement and per aspect (a column, the rows, their order, whether it fails). An aspect is noise when the two
 * baseline runs disagree about it and the candidate does not disagree significantly more often; a column that is noisy once in a
 * thousand and differs from the candidate every time is a finding.
 */
import type { Judgement } from './judgement.js'

export type Aspect = string

export function aspectsOf(judgement: Judgement): readonly Aspect[] {
  if (judgement.verdict !== 'discrepancy') return []
  return judgement.differences.flatMap(({ subKind, columns }): readonly Aspect[] => {
    if (subKind.startsWith('error')) return ['error']
    if (subKind === 'values') return columns.map((at) => `column ${at}`)
    return [subKind === 'column_set' ? 'columns' : subKind === 'order' ? 'order' : 'rows']
  })
}

type Tally = { noise: number; candidate: number }

/** How many standard deviations more often the candidate must differ. */
const SIGMAS = 3
/** Of statements whose filter speaks of the time: so few may differ although no baseline pair did. */
const CHANCY_SHARE = 0.01
const CHANCY_MIN = 3

export class Noise {
  readonly #kinds = new Map<string, { compared: number; aspects: Map<Aspect, Tally> }>()

  observe(fingerprint: string, noise: readonly Aspect[], candidate: readonly Aspect[]): void {
    let kind = this.#kinds.get(fingerprint)
    if (kind === undefined) {
      kind = { compared: 0, aspects: new Map() }
      this.#kinds.set(fingerprint, kind)
    }
    kind.compared += 1
    for (const aspect of new Set(noise)) tally(kind.aspects, aspect).noise += 1
    for (const aspect of new Set(candidate)) tally(kind.aspects, aspect).candidate += 1
  }

  isNoise(fingerprint: string, aspect: Aspect): boolean {
    const found = this.#kinds.get(fingerprint)?.aspects.get(aspect)
    if (found === undefined || found.noise === 0) return false
    return found.candidate - found.noise <= SIGMAS * Math.sqrt(found.candidate + found.noise)
  }

  /** May rows that come and go with the time explain how often the candidate differs? */
  allowsChance(fingerprint: string): boolean {
    const kind = this.#kinds.get(fingerprint)
    const found = kind?.aspects.get('rows')
    if (kind === undefined || found === undefined) return true
    return (
      found.candidate <= found.noise + Math.max(CHANCY_MIN, CHANCY_SHARE * kind.compared) ||
      this.isNoise(fingerprint, 'rows')
    )
  }
}

function tally(aspects: Map<Aspect, Tally>, aspect: Aspect): Tally {
  let found = aspects.get(aspect)
  if (found === undefined) {
    found = { noise: 0, candidate: 0 }
    aspects.set(aspect, found)
  }
  return found
}
