/**
 * All that is injected into one replay: when each is due, what runs now, and what is to be told of it at the end.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'
import type { RecordingReader } from '../../../segment/recording.js'
import type { Injection } from '../../../segment/run.js'
import type { Shut } from '../../shadow/doors/keeper.js'
import type { Plan } from '../plan-shape.js'
import { Progress, type SharedProgress } from '../progress.js'
import type { Target } from '../target.js'
import { type Injected, Injector, type Prepared } from './injector.js'
import { latencyAround, type Served } from './latency-around.js'
import { type Due, Schedule } from './schedule.js'

export type InjectionsOptions = {
  readonly prepared: readonly Prepared[]
  readonly recording: RecordingReader
  readonly plan: Plan
  /** Per statement of the plan: 0 when it is sent. null: all are. */
  readonly fates: Uint8Array | null
  readonly passes: number
  readonly url: string
  readonly target: Target
  readonly incident: (kind: string, detail: string) => void
  readonly failed: () => void
  /** One is over, and the target's schema may be another. */
  readonly ended: () => void
  readonly shut: Shut
  /** A way out that was opened cannot be shut. */
  readonly open: () => void
}

type Planned = { readonly due: Due; readonly item: Prepared; readonly pass: number }

export class Injections {
  readonly #options: InjectionsOptions
  readonly #told: Injected[] = []
  readonly #injector: Injector
  #waiting: readonly Planned[]
  #schedule: Schedule<Planned> | null = null
  #progress: SharedProgress | null = null
  #startedMs = 0

  /** Throws where a moment cannot be found in the recording. */
  constructor(options: InjectionsOptions) {
    this.#options = options
    this.#waiting = options.prepared.map((item) => planned(item, options))
    const sessions = options.recording.sessions()
    this.#injector = new Injector({
      url: options.url,
      versionNum: options.target.facts.versionNum,
      nowUs: () => (performance.now() - this.#startedMs) * 1000,
      whose: {
        sessionOf: (pid) => sessions[this.#progress?.backendPids.indexOf(pid) ?? -1]?.session ?? null,
        ours: () => [...(this.#progress?.backendPids ?? []), options.target.backendPid],
      },
      ended: (injected) => this.#ended(injected),
      shut: options.shut,
      open: (why) => {
        options.incident('way out', why)
        options.open()
      },
    })
  }

  /** Backends that run what was injected. */
  get pids(): readonly number[] {
    return this.#injector.pids
  }

  /** A pass begins at `zeroMs`; the whole replay began at `startedMs`. `self` is this thread's place in the shared progress. */
  begin(pass: number, progress: SharedProgress, self: number, startedMs: number): void {
    this.#progress = progress
    this.#startedMs = startedMs
    this.#schedule = new Schedule(new Progress(progress, self), ({ item }: Planned) => this.#injector.inject(item))
    const now = this.#waiting.filter((one) => one.due.kind === 'time' || one.pass === pass)
    this.#waiting = this.#waiting.filter((one) => !now.includes(one))
    this.#schedule.start(
      now.map((one) => ({ due: one.due, item: one })),
      startedMs - performance.now(),
    )
  }

  /** A pass is over: what had a moment in it that did not come waits for the next. */
  endPass(): void {
    this.#waiting = [...this.#waiting, ...(this.#schedule?.end() ?? [])]
    this.#schedule = null
  }

  /** The replay is over. What still runs is waited for, unless it is to be stopped. */
  async end(stopped: boolean): Promise<void> {
    this.endPass()
    for (const { item } of this.#waiting) this.#notReached(item)
    this.#waiting = []
    if (stopped) await this.#injector.stop()
    await this.#injector.settled()
  }

  stop(): void {
    void this.#injector.stop()
  }

  /** With the latency around each. */
  facts(served: () => Iterable<Served>): Injection[] {
    if (this.#told.length === 0) return []
    const latency = latencyAround(this.#told, served())
    return this.#told.map((one, i) => ({ ...one, latency: latency[i]! }))
  }

  #ended(injected: Injected): void {
    this.#told.push(injected)
    this.#options.ended()
    if (injected.outcome !== 'failed') return
    this.#options.incident('injection failed', `${injected.what} at ${injected.at}: ${injected.error!.message}`)
    this.#options.failed()
  }

  #notReached({ at, what }: Prepared): void {
    const nothing = { error: null, startedUs: null, endedUs: null }
    this.#told.push({
      at,
      what,
      outcome: 'not reached',
      ...nothing,
      statements: [],
      locks: [],
      heldUp: [],
      waitedFor: [],
    })
    this.#options.incident('injection not reached', `${what} at ${at}: the replay was over before`)
  }
}

function planned(item: Prepared, { recording, plan, fates, passes }: InjectionsOptions): Planned {
  const { moment } = item
  if (moment.kind === 'time') return { due: moment, item, pass: 1 }
  if (moment.kind === 'statement') return { due: placeOf(moment.seq, recording), item, pass: 1 }
  const sent = sentOf(plan, fates)
  const over = Math.floor(sent.length * passes * moment.share)
  if (over === 0) return { due: { kind: 'time', afterMs: 0 }, item, pass: 1 }
  const index = sent.at((over - 1) % sent.length)
  const due: Due = { kind: 'place', session: plan.session[index]!, ordinal: plan.ordinal[index]! }
  return { due, item, pass: Math.ceil(over / sent.length) }
}

type Sent = { readonly length: number; at(position: number): number }

/** Statements that are sent, by their position among themselves. */
function sentOf({ statementCount }: Plan, fates: Uint8Array | null): Sent {
  if (fates === null) return { length: statementCount, at: (position) => position }
  let length = 0
  for (let i = 0; i < statementCount; i++) if (fates[i] === 0) length += 1
  return {
    length,
    at(position) {
      let left = position
      for (let i = 0; i < statementCount; i++) if (fates[i] === 0 && left-- === 0) return i
      return statementCount - 1
    },
  }
}

/** Where a statement stands in its session. */
function placeOf(seq: number, recording: RecordingReader): Due {
  const statement = recording.statement(seq)
  if (statement === undefined) {
    throw new HarnessError({
      code: 'NO_SUCH_STATEMENT',
      message: `--inject names statement #${seq}, which is not in the recording`,
      exit: EXIT.usage,
    })
  }
  const session = recording.sessions().findIndex((one) => one.session === statement.session)
  return { kind: 'place', session, ordinal: statement.ordinal }
}
