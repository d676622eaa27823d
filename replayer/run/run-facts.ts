/**
 * The facts of a run, from what the coordinator knows when the last answer is in; those of an interrupted run that it went on with are part of them.
 */
import type { CatalogType } from '../../segment/catalog.js'
import type { Count } from '../../segment/ledger.js'
import { type PassFacts, RUN_FORMAT_VERSION, type RunFacts, type RunStart } from '../../segment/run.js'
import { bottleneckOf } from './bottleneck.js'
import { latencyFacts, type Measured, mergeMeasured } from './measures.js'
import type { Pacing } from './pace.js'
import type { ReplayOptions } from './replay.js'
import type { Selection } from './selection.js'
import type { Sharing } from './sharing.js'
import { type Accounts, ledgerOf } from './tally.js'

export type Ran = {
  readonly id: string
  readonly options: ReplayOptions
  readonly pacing: Pacing
  readonly recordingId: string
  /** Transactions that the recorder counted. */
  readonly recordedTransactions: number
  readonly target: RunFacts['target']
  readonly types: readonly CatalogType[]
  readonly workers: number
  readonly readerRole: boolean
  readonly viaSocket: boolean
  readonly selection: Selection | null
  readonly sharing: Sharing | null
  readonly startedAtMs: number
  readonly elapsedUs: number
  /** Counted in the file. */
  readonly outcomes: number
  readonly accounts: readonly Accounts[]
  readonly measured: readonly Measured[]
  readonly utilisationMax: number
  readonly orderRelaxed: number
  readonly incidents: RunFacts['incidents']
  readonly cancelled: number
  readonly leftOff: readonly number[] | null
  readonly passes: readonly PassFacts[]
  readonly injections: RunFacts['injections']
}

export function factsOf(ran: Ran): RunFacts {
  const { options, measured, injections } = ran
  const { plan, start, loop } = options
  const earlier = options.resume?.facts
  const latency = measured.length === 0 ? null : latencyFacts(mergeMeasured(measured))
  const bottleneck = bottleneckOf(ran.utilisationMax, latency)
  const cancelled = ran.cancelled + (earlier?.cancelRequests ?? 0)
  return {
    format: 'pgrehearse run',
    formatVersion: RUN_FORMAT_VERSION,
    id: ran.id,
    madeBy: options.madeBy ?? 'pgrehearse',
    role: options.role ?? 'replay',
    recordingId: ran.recordingId,
    recordingPath: options.recording,
    target: ran.target,
    ...(ran.types.length === 0 ? {} : { types: ran.types }),
    snapshotId: options.snapshotId ?? null,
    ...(start === undefined ? {} : { start: startFacts(start, ran.selection) }),
    settings: settingsOf(ran),
    startedAtMs: earlier?.startedAtMs ?? ran.startedAtMs,
    elapsedUs: (earlier?.elapsedUs ?? 0) + ran.elapsedUs,
    ledger: ledgerOf(seen(ran), ran.outcomes, ran.accounts),
    eventLoopUtilisationMax: Math.max(ran.utilisationMax, earlier?.eventLoopUtilisationMax ?? 0),
    orderRelaxed: ran.orderRelaxed + (earlier?.orderRelaxed ?? 0),
    ...(plan.reenacted?.length ? { reenacted: plan.reenacted.length / 2 } : {}),
    incidents: [...(earlier?.incidents ?? []), ...ran.incidents],
    ...(cancelled === 0 ? {} : { cancelRequests: cancelled }),
    ...(ran.leftOff === null ? {} : { leftOff: ran.leftOff }),
    ...(latency === null ? {} : { latency }),
    ...(bottleneck === null ? {} : { bottleneck }),
    ...(loop === undefined ? {} : { passes: ran.passes }),
    ...(injections === undefined || injections.length === 0 ? {} : { injections }),
  }
}

function settingsOf({ options, pacing, workers, readerRole, viaSocket, sharing }: Ran): RunFacts['settings'] {
  const { plan, readOnly, filter, rampMs, think, loop, rewrite } = options
  return {
    speed: pacing.speed,
    order: plan.mode,
    workers,
    readOnly: readOnly ?? false,
    ...(readerRole ? { readerRole: true } : {}),
    ...(viaSocket ? { viaSocket: true } : {}),
    rewriteHash: rewrite?.hash ?? null,
    ...(filter === undefined || filter.words.length === 0 ? {} : { filter: filter.words }),
    ...(rampMs === undefined ? {} : { rampMs }),
    ...(think === undefined || think === null ? {} : { think }),
    ...(loop === undefined ? {} : { loop }),
    ...(sharing === null ? {} : { connections: connectionFacts(sharing, options.maxConnections!) }),
  }
}

function startFacts(start: RunStart, selection: Selection | null): RunStart {
  if (start.kind !== 'within' || selection === null) return start
  const { beside, unsure } = selection
  return { ...start, ...beside, unsure }
}

function connectionFacts({ pools, alone }: Sharing, max: number): NonNullable<RunFacts['settings']['connections']> {
  const shared = pools.reduce((sum, { connections }) => sum + connections, 0)
  const sharing = pools.reduce((sum, { sessions }) => sum + sessions.length, 0)
  return { max, shared, sharing, alone: alone.length }
}

/** What there is to replay: the plan's statements, and the transactions that the recorder counted. */
function seen({ options: { plan, loop = 1 }, recordedTransactions }: Ran): Count {
  return { statements: plan.statementCount * loop, transactions: recordedTransactions * loop }
}
