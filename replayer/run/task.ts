/**
 * What the coordinator and its workers say to each other.
 */
import type { CatalogType } from '../../segment/catalog.js'
import type { RewrittenText, SkippedStatement } from '../../segment/run.js'
import type { Session } from '../../segment/statement.js'
import type { RewriteSource } from '../rewrite/rewriter.js'
import type { Positions } from './feed.js'
import type { Causes } from './job.js'
import type { Measured } from './measures.js'
import type { Pacing, Rate } from './pace.js'
import type { PairLog } from './pairs.js'
import type { Plan } from './plan-shape.js'
import type { SharedProgress } from './progress.js'
import type { Selection } from './selection.js'
import type { Accounts } from './tally.js'

export type WorkerTask = {
  readonly worker: number
  readonly recordingPath: string
  readonly plan: Plan
  readonly positions: Positions
  readonly progress: SharedProgress
  /** Generated values, recorded and actual, of all workers. */
  readonly pairs: PairLog
  /** This worker's sessions, by their dense index. */
  readonly sessions: readonly (readonly [dense: number, session: Session])[]
  readonly originUs: number
  /** What of it is sent; null: everything. */
  readonly selection: Pick<Selection, 'fates' | 'sends'> | null
  readonly pacing: Pacing
  /** Per session, by its dense index: when it may begin where there is no schedule. */
  readonly startsUs: Float64Array
  /** Whether the outcomes are written; else they are only counted and measured. */
  readonly keepsOutcomes: boolean
  readonly rate: { readonly rate: Rate; readonly fullAtNs: BigInt64Array } | null
  readonly targetUrl: string
  /** The target's own types. */
  readonly types: readonly CatalogType[]
  /** As it was given, where the first is a shorter way. */
  readonly otherUrl: string
  /** Connections that some of its sessions share. Others have their own. */
  readonly pools: readonly {
    readonly number: number
    readonly connections: number
    readonly sessions: readonly number[]
  }[]
  /** How statements read on the target; null: as recorded. */
  readonly rewrite: RewriteSource | null
  /** Start-up parameters of all connections, under the recorded ones. */
  readonly defaults: Readonly<Record<string, string>>
  /** And over them. */
  readonly parameters: Readonly<Record<string, string>>
  /** What a replay that is gone on with had done; null: it begins anew. */
  readonly earlier: {
    readonly elapsedUs: number
    /** Statements that were not sent, and why. */
    readonly notSent: ReadonlyMap<number, string>
  } | null
  /** How long a target that does not let a session in is asked again. */
  readonly patienceMs: number
}

export type ToWorker =
  /** Moment zero of the replay on the machine's monotonic clock. */
  | { readonly kind: 'start'; readonly zeroNs: bigint }
  /** A batch of rows has been written. */
  | { readonly kind: 'written' }
  /** Come to rest where the replay can be gone on with. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'stop' }
  /** The target's types have changed. */
  | { readonly kind: 'types'; readonly types: readonly CatalogType[] }

export type FromWorker =
  /** The first connections are open. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'rows'; readonly buffer: ArrayBuffer; readonly news: News }
  | { readonly kind: 'news'; readonly news: News }
  | { readonly kind: 'skipped'; readonly statements: readonly SkippedStatement[] }
  /** A kind of text is sent in another form, from here on. */
  | { readonly kind: 'rewritten'; readonly text: RewrittenText }
  | { readonly kind: 'finished'; readonly result: WorkerResult }
  | { readonly kind: 'incident'; readonly atUs: number; readonly what: string; readonly detail: string }

/** What happened since the last batch, for the progress line. */
export type News = {
  readonly statements: number
  readonly filtered: number
  readonly errors: number
  readonly relaxed: number
  /** Recorded time of the furthest statement. */
  readonly offsetUs: number
  readonly lateUsMax: number
  readonly causes: Causes
  readonly serviceUs: number
  /** By SERVICE_BOUNDS_US. */
  readonly serviceCounts: readonly number[]
  readonly utilisation: number
}

export type WorkerResult = {
  readonly accounts: Accounts
  readonly measured: Measured
  /** Cancel requests that were sent. */
  readonly cancelled: number
  readonly eventLoopUtilisationMax: number
}
