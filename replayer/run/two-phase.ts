/**
 * Two-phase commit: a transaction that was prepared ends where it is committed or rolled back by name, maybe much later and in another
 * session. A snapshot taken in between does not contain it, though its own session had long gone on.
 */
import type { StatementFacts } from '../../segment/facts.js'

type Said = Pick<StatementFacts, 'sql' | 'sqlstate' | 'sentUs' | 'doneUs'>
type Moment = { readonly sentUs: number; readonly doneUs: number }

/** When each name was committed or rolled back, in the order of time. A name without an end is kept too. */
export type PreparedEnds = ReadonlyMap<string, readonly Moment[]>

const PREPARE = /^\s*prepare\s+transaction\s+'((?:[^']|'')*)'/i
const END = /^\s*(?:commit|rollback)\s+prepared\s+'((?:[^']|'')*)'/i

export function preparedEnds(statements: Iterable<Said>): PreparedEnds {
  const ends = new Map<string, Moment[]>()
  const of = (name: string): Moment[] => {
    const known = ends.get(name) ?? []
    ends.set(name, known)
    return known
  }
  for (const said of statements) {
    const prepared = preparedIn(said)
    if (prepared !== null) of(prepared)
    const ended = said.sqlstate === null ? END.exec(said.sql)?.[1] : undefined
    if (ended !== undefined) of(ended).push({ sentUs: said.sentUs, doneUs: said.doneUs })
  }
  return ends
}

/** The name that a statement prepared its transaction under. */
export function preparedIn({ sql, sqlstate }: Pick<Said, 'sql' | 'sqlstate'>): string | null {
  return sqlstate === null ? (PREPARE.exec(sql)?.[1] ?? null) : null
}

const NEVER: Moment = { sentUs: Number.POSITIVE_INFINITY, doneUs: Number.POSITIVE_INFINITY }

/** The first end after it was prepared: names are used again. What nobody ended while it was recorded was still open then. */
export function endedOf(ends: PreparedEnds, name: string, preparedUs: number): Moment {
  return ends.get(name)?.find(({ doneUs }) => doneUs >= preparedUs) ?? NEVER
}
