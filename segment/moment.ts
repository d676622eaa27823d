/**
 * When a copy of a database was made, held against a recording: which recorded transactions the copy contains already.
 *
 * A copy sees what was committed at one moment, and nothing else. That moment is read from the server's clock, and so is microsecond 0
 * of a recording; between the sending of a COMMIT and its answer lies the instant from which others see it. Only who was committing at
 * that very moment is left to evidence: the backends that the copy found under way.
 */
import type { ServerFacts } from './manifest.js'

/** Where the server's clock stood at microsecond 0 of a recording. */
export type ServerClock = {
  /** Microseconds since the epoch. */
  readonly zeroUs: number
  readonly errorUs: number
  /** The transaction id that the server was about to give, in 64 bits, as text. */
  readonly nextXid: string
}

/** A transaction that a copy does not contain, by the backend it ran in. */
type UnderWay = { readonly pid: number; readonly startedUs: number }

export type CopyMoment = {
  readonly systemIdentifier: string
  readonly database: string
  /** By the server's clock, in microseconds since the epoch: the copy sees what was committed at some instant between the two. */
  readonly fromUs: number
  readonly toUs: number
  readonly nextXid: string
  /** Transactions that had changed something and were not over. */
  readonly open: number
  readonly underWay: readonly UnderWay[]
}

/** The moment of the copy in microseconds of the recording. */
export type Within = {
  readonly fromUs: number
  readonly toUs: number
  readonly underWay: ReadonlyMap<number, number>
  readonly errorUs: number
}

export type Alignment =
  | { readonly kind: 'unknown'; readonly why: string }
  /** `between`: at most so many transactions that changed something are neither in the copy nor in the recording. */
  | { readonly kind: 'before'; readonly between: number }
  | ({ readonly kind: 'within' } & Within)
  | { readonly kind: 'after' }

/** Two clocks that nobody corrects drift apart by less than this. */
const DRIFT = 50e-6

export function align(
  { server, endUs }: { readonly server: ServerFacts; readonly endUs: number },
  copy: CopyMoment | undefined,
): Alignment {
  const { clock, systemIdentifier, database } = server
  if (copy === undefined) return { kind: 'unknown', why: 'the snapshot does not say when it was taken' }
  if (clock === undefined) return { kind: 'unknown', why: 'the recording does not know its server’s clock' }
  if (systemIdentifier === '' || copy.systemIdentifier === '')
    return { kind: 'unknown', why: 'the system identifier of one of the two is not known' }
  if (systemIdentifier !== copy.systemIdentifier || database !== copy.database)
    return { kind: 'unknown', why: 'the snapshot is of another database than the recording' }
  const errorUs = clock.errorUs + Math.abs(copy.toUs - clock.zeroUs) * DRIFT
  const [fromUs, toUs] = [copy.fromUs - clock.zeroUs - errorUs, copy.toUs - clock.zeroUs + errorUs]
  if (toUs < 0) return { kind: 'before', between: Number(BigInt(clock.nextXid) - BigInt(copy.nextXid)) + copy.open }
  if (fromUs > endUs) return { kind: 'after' }
  const underWay = new Map(copy.underWay.map(({ pid, startedUs }) => [pid, startedUs - clock.zeroUs]))
  return { kind: 'within', fromUs, toUs, underWay, errorUs }
}

export type RecordedTransaction = {
  readonly pid: number
  readonly beginSentUs: number
  /** Of its last statement: the COMMIT, or the only one. */
  readonly endSentUs: number
  readonly endDoneUs: number
}

/** `in`: the copy has what it did. `undecided`: it was ending at that very moment, and nothing says on which side. */
export function containedIn(copy: Within, transaction: RecordedTransaction): 'in' | 'out' | 'undecided' {
  if (transaction.endDoneUs < copy.fromUs) return 'in'
  if (transaction.endSentUs > copy.toUs) return 'out'
  const startedUs = copy.underWay.get(transaction.pid)
  const isIt =
    startedUs !== undefined &&
    startedUs >= transaction.beginSentUs - copy.errorUs &&
    startedUs <= transaction.endDoneUs + copy.errorUs
  return isIt ? 'out' : 'undecided'
}
