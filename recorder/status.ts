/** What a running recording shows of itself: figures and states, never a value of the traffic. */
import type { GuardStatus } from './guard/guard.js'
import type { Rates } from './rates.js'
import type { Held } from './tap/stopwatch.js'

/** `tripped`: the circuit breaker holds it. */
export const PROXY_STATES = ['recording', 'paused', 'tripped', 'stopping', 'sealed', 'killed', 'failed'] as const
export type ProxyState = (typeof PROXY_STATES)[number]

export type ProxyStatus = {
  readonly state: ProxyState
  readonly recordingId: string
  readonly path: string
  /** Of the first address that has one; 0 when it listens at Unix sockets only. */
  readonly port: number
  readonly listen: readonly string[]
  readonly elapsedMs: number
  readonly connections: number
  readonly statementsSeen: number
  readonly statementsKept: number
  readonly statementsLost: number
  /** Left out by choice, once they were understood. */
  readonly statementsFiltered: number
  readonly statementsPassed: number
  /** The same by reason. */
  readonly passed: Readonly<Record<string, number>>
  readonly sessionsBroken: number
  readonly transactionsKept: number
  readonly transactionsLost: number
  readonly recordingBytes: number
  /** What came by and what was written, over the last ten seconds. */
  readonly rates: Rates
  /** How far the drain is behind the traffic. */
  readonly drainLagMs: number
  /** How long a chunk of traffic is held here: what of the added latency is the recorder's own work. */
  readonly held: Held
  readonly breaker: GuardStatus
  readonly ring: { readonly usedBytes: number; readonly usedBytesMax: number; readonly sizeBytes: number }
}
