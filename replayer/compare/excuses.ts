/**
 * Why a difference is no discrepancy. Each excuse is counted under its name and shown; none is silent.
 */
export const EXCUSES = {
  order: 'rows came in another order, and the statement asks for none',
  tie: 'rows that tie on the sort keys came in another order',
  limit: 'LIMIT let through other rows, and the order does not say which',
  volatile: 'the value is made of the time, of chance or of the session',
  generated: 'generated values differ, but stand for each other throughout',
  noise: 'the two baseline runs differ here as well, as often',
  ignored: 'the ignore list names it',
  tolerance: 'the difference is within the tolerance asked for',
  rounding: 'a computed floating-point value differs in its last digits',
  server: 'the statement asks about the server, not about data',
  ambiguous:
    'production ran a race here (or the snapshot was taken meanwhile), or it rests on one that went another way',
  unwritten: 'one side did not replay a write: it is this one, or this looks at what it would have written',
  relaxed: 'the order was given up here to end a standstill',
  follows:
    'an earlier statement of its transaction, or an earlier FETCH of its cursor, already differed or was sent by one side only',
  masked: 'the statement depends on more of a masked value than its token keeps (LIKE, ranges, order, parts)',
  type: 'a column has another type, with equal values',
} as const

export type Excuse = keyof typeof EXCUSES

/** What says most about a statement with several excuses: it is counted once. */
const TELLING: readonly Excuse[] = [
  'server',
  'follows',
  'masked',
  'unwritten',
  'ambiguous',
  'relaxed',
  'noise',
  'ignored',
  'volatile',
  'generated',
  'limit',
  'tolerance',
  'tie',
  'order',
  'rounding',
  'type',
]

export function mostTelling(excuses: readonly Excuse[]): Excuse | undefined {
  return TELLING.find((excuse) => excuses.includes(excuse))
}
