/**
 * The chosen share: which sessions and transactions are recorded. Plain data and decisions on it.
 *
 * Sessions are chosen where they begin, by the tap; transactions where they are understood, by the drain. Both by a hash of their
 * number, so that the same traffic gives the same choice, and a larger share holds every smaller one.
 */
export type FilterBy = 'database' | 'user' | 'application' | 'table' | 'fingerprint'
export const FILTER_BY: readonly FilterBy[] = ['database', 'user', 'application', 'table', 'fingerprint']

/** `*` stands for any characters. */
export type Filter = { readonly by: FilterBy; readonly pattern: string }

export type Choice = {
  /** Shares between 0 and 1. */
  readonly sessions: number
  readonly reads: number
  readonly writes: number
  /** Of each kind that is named, one must fit. */
  readonly include: readonly Filter[]
  /** None may fit. */
  readonly exclude: readonly Filter[]
}

export const EVERYTHING: Choice = { sessions: 1, reads: 1, writes: 1, include: [], exclude: [] }

export type SessionFacts = { readonly database: string; readonly user: string; readonly application: string }

/** What a filter is held against: for each kind that is known here, the names that occur. */
export type Names = Readonly<Partial<Record<FilterBy, readonly string[]>>>

export function choosesSession(choice: Choice, session: number, facts: SessionFacts): boolean {
  const names = { database: [facts.database], user: [facts.user], application: [facts.application] }
  return admits(choice, names) && hash(session, 0) < choice.sessions
}

/** Whether transactions have to be looked at, one by one. */
export function choosesTransactions({ reads, writes, include, exclude }: Choice): boolean {
  const inTransactions = ({ by }: Filter) => by === 'table' || by === 'fingerprint'
  return reads < 1 || writes < 1 || include.some(inTransactions) || exclude.some(inTransactions)
}

/** By its number in its session. */
export function choosesByShare(choice: Choice, session: number, transaction: number, writes: boolean): boolean {
  return hash(session, transaction) < (writes ? choice.writes : choice.reads)
}

/** Filters of kinds that are not known here are left for those who know. */
export function admits({ include, exclude }: Choice, names: Names): boolean {
  if (exclude.some((filter) => fits(filter, names))) return false
  return (Object.keys(names) as FilterBy[]).every((by) => {
    const filters = include.filter((filter) => filter.by === by)
    return filters.length === 0 || filters.some((filter) => fits(filter, names))
  })
}

function fits({ by, pattern }: Filter, names: Names): boolean {
  const matches = pattern.split('*').map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  const expression = new RegExp(`^${matches.join('.*')}$`, 's')
  return (names[by] ?? []).some((name) => expression.test(name))
}

/** MurmurHash3 of two numbers, between 0 and 1. */
function hash(a: number, b: number): number {
  let h = 0x9747b28c
  for (const word of [a, b]) {
    let k = Math.imul(word, 0xcc9e2d51)
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
    h ^= k
    h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64
  }
  h = Math.imul(h ^ 8 ^ ((h ^ 8) >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
}
