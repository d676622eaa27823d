/**
 * A run: the outcomes of all statements against one target. One SQLite file; ./run-file.ts reads and writes it.
 */
import type { CatalogType } from './catalog.js'
import type { Ledger } from './ledger.js'
import type { LockFacts } from './locks.js'
import type { Outcome } from './outcome.js'

export const RUN_FORMAT_VERSION = 1

/** How a replayed statement spent its time. Microseconds; times of day count from the start of the replay. */
export type Timing = {
  /** When the schedule wanted it sent (equal to sentUs at --speed max). */
  readonly dueUs: number
  readonly sentUs: number
  readonly doneUs: number
  /** Lateness by cause: waiting for the plan's order, for its own session's previous statement, for the worker itself. */
  readonly waitOrderUs: number
  readonly waitSessionUs: number
  readonly waitWorkerUs: number
}

/** Why a statement was not replayed (`unreplayable: …`, `session lost`); it then has no outcome. */
export type RunRow = {
  readonly seq: number
  readonly timing: Timing
  readonly outcome: Outcome
  /** The plan's wait was given up to end a standstill. */
  readonly orderRelaxed: boolean
}

/** A way out of the shadow that was shut before the run, and how often the run knocked at it. */
export type RunDoor = {
  readonly kind: string
  readonly name: string
  readonly state: 'stub' | 'local table' | 'removed' | 'idle' | 'left open'
  /** Of a stub; null where nothing is counted. */
  readonly calls: number | null
}

export type RunIsolation = {
  readonly doors: readonly RunDoor[]
  /** Limits that the shadow's sessions began with. */
  readonly limits: Readonly<Record<string, string>>
}

/** How the snapshot of the target stands to the recording. */
export type RunStart =
  | { readonly kind: 'unknown'; readonly why: string }
  /** At most so many transactions that changed something are neither in the snapshot nor in the recording. */
  | { readonly kind: 'before'; readonly between: number }
  | {
      readonly kind: 'within'
      /** Since the start of the recording. */
      readonly atUs: number
      /** Transactions that were left out, since the snapshot has what they did. */
      readonly contained: number
      /** Replayed in full, though they began before it. */
      readonly straddling: number
      /** Ending at that very moment, so that nothing says on which side they are. */
      readonly undecided: number
      /** Sequence numbers of statements that production ran before that moment, of those two kinds. */
      readonly unsure: readonly number[]
    }

export type RunRole = 'production' | 'baseline' | 'noise' | 'candidate' | 'replay'

export type RunFacts = {
  readonly format: 'pgrehearse run'
  readonly formatVersion: number
  readonly id: string
  readonly madeBy: string
  readonly role: RunRole
  readonly recordingId: string
  /** Where the recording was when the run was made; texts and parameters are read from there. */
  readonly recordingPath: string
  readonly target: {
    readonly version: string
    readonly versionNum: number
    readonly database: string
    readonly systemIdentifier: string
  }
  /** Types of users and extensions, as the target had them. Absent in runs of older builds. */
  readonly types?: readonly CatalogType[]
  readonly snapshotId: string | null
  /** Absent in runs of older builds, and on targets that nobody looked at. */
  readonly start?: RunStart
  readonly settings: {
    readonly speed: number | 'max'
    readonly order: 'causal' | 'commit' | 'session'
    readonly workers: number
    readonly readOnly: boolean
    /** Read-only by a role without rights to write, not by a setting alone. */
    readonly readerRole?: boolean
    readonly rewriteHash: string | null
    /** What of the recording was chosen: `--from 10m`, `--only table=orders`. Absent: all of it. */
    readonly filter?: readonly string[]
    /** Statements went through the target's Unix socket. */
    readonly viaSocket?: boolean
    readonly rampMs?: number
    /** Think time between an answer and the next statement of its session: so many times the recorded one. Absent: the recorded schedule. */
    readonly think?: number
    readonly loop?: number
    /** With fewer connections than sessions: so many are shared by so many sessions, others have one of their own. */
    readonly connections?: {
      readonly max: number
      readonly shared: number
      readonly sharing: number
      readonly alone: number
    }
  }
  readonly startedAtMs: number
  readonly elapsedUs: number
  readonly ledger: Ledger
  /** Was the harness itself the bottleneck? Highest event-loop utilisation of any worker, 0 to 1. */
  readonly eventLoopUtilisationMax: number
  /** How the harness itself made statements late or their times longer. Absent: it did not, or an older build made the run. */
  readonly bottleneck?: string
  readonly orderRelaxed: number
  /** Statements that the replay ended because production's server had, for reasons of timing; absent: none. */
  readonly reenacted?: number
  /** Missing in runs on targets that nobody looked at. */
  readonly isolation?: RunIsolation
  readonly incidents: readonly { readonly atUs: number; readonly kind: string; readonly detail: string }[]
  /** Sent as production sent them. Absent: none. */
  readonly cancelRequests?: number
  /** All passes together. Absent in runs of older builds. */
  readonly latency?: LatencyFacts
  /** Absent: once only. The outcomes are those of the first pass. */
  readonly passes?: readonly PassFacts[]
  /** Absent: nothing was injected. */
  readonly injections?: readonly Injection[]
  /** Of an interrupted replay that can be gone on with: per session, in the recording's order, the ordinal up to which it is done. */
  readonly leftOff?: readonly number[]
  /** Absent: nobody looked. */
  readonly locks?: LockFacts
}

/** How long statements took in some stretch of a run. */
export type LatencyStretch = {
  readonly fromUs: number
  readonly toUs: number
  readonly statements: number
  readonly errors: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  readonly maxUs: number
}

/** A distribution, in microseconds; `hdr` is the HDR histogram itself (compressed, base64), which merges with others. */
export type Spread = {
  readonly count: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

type Merging = Spread & { readonly hdr: string }

export type LatencyFacts = {
  /** From sending to the answer. */
  readonly service: Merging
  /** From when the schedule wanted it sent, to the answer; without a schedule the same as service. */
  readonly response: Merging
  /** How much later than due statements were sent. */
  readonly lateness: Merging
  /** All of it together, by cause: the plan's order, a connection that was not open yet, an answer that was still out, our own thread. */
  readonly latenessUs: {
    readonly order: number
    readonly connection: number
    readonly server: number
    readonly worker: number
  }
}

/** One pass of a recording that was replayed several times over. */
export type PassFacts = {
  readonly pass: number
  readonly elapsedUs: number
  readonly statements: number
  /** How often each SQLSTATE came. */
  readonly errors: Readonly<Record<string, number>>
  readonly service: Spread
  readonly response: Spread
}

/** SQL or a command that was run at a moment of a replay: how long it took, what it held, and whom it held up. Times count as in `Timing`. */
export type Injection = {
  /** As it was asked for: `30s`, `50%`, `#4711`; and what. */
  readonly at: string
  readonly what: string
  readonly outcome: 'done' | 'failed' | 'stopped' | 'not reached'
  /** null: none, or nothing is known. */
  readonly error: { readonly sqlstate: string | null; readonly message: string; readonly line: number | null } | null
  /** null: it never began. */
  readonly startedUs: number | null
  readonly endedUs: number | null
  /** Of SQL: each statement that was begun. */
  readonly statements: readonly { readonly line: number; readonly kind: string; readonly us: number }[]
  /** Locks on relations that it was seen to hold, and for how long. Looked at every 50 ms: what is shorter may be missing. */
  readonly locks: readonly { readonly relation: string; readonly mode: string; readonly seenUs: number }[]
  /** Sessions that waited for its locks, or behind its place in the queue for one. */
  readonly heldUp: readonly InjectionWait[]
  /** Sessions that it waited for; session null: somebody outside the replay. */
  readonly waitedFor: readonly InjectionWait[]
  /** Service times of the replay's statements, around it and while it ran; null: it never began. */
  readonly latency: {
    readonly before: LatencyStretch
    readonly during: LatencyStretch
    readonly after: LatencyStretch
  } | null
}

export type InjectionWait = {
  readonly session: number | null
  readonly waits: number
  readonly totalUs: number
  readonly longestUs: number
}

/** A value that was generated anew: what the recording has, and what this run has in its place. */
export type MappedValue = {
  readonly domain: string
  readonly recorded: string
  readonly actual: string
}

/** How the texts of one shape were sent to this run's target instead. */
export type RewrittenText = {
  /** The shape of the recorded text, or the whole text where its literals decided. */
  readonly recorded: string
  /** What was sent: constant pieces, and numbers of the recorded text's literals that stand between them. */
  readonly sent: readonly (string | number)[]
  /** The rule: `table orders`, `statement on line 12`, `hook`. */
  readonly by: string
  /** Of several statements, the one that gives the result, counted from 0; absent: the last. */
  readonly answers?: number
}

/** A statement that was meant to be replayed and was not. It has no row; the ledger counts it under its reason. */
export type SkippedStatement = { readonly seq: number; readonly reason: string }
