/**
 * The guard that looks for standstills while a replay runs (what one is: ./watchdog.ts) and gives up the plan waits that cause them.
 */
import { Progress, type SharedProgress } from './progress.js'
import type { LockWait, Target } from './target.js'
import { type Blocked, findReleases, type Parked, type Queued } from './watchdog.js'

export type GuardOptions = {
  readonly progress: SharedProgress
  /** Of each statement of the plan, its place in its session. */
  readonly ordinals: Int32Array
  /** Worker of each session. */
  readonly workerOf: readonly number[]
  /** Backends of what was injected: they hold locks and wait for them like a session, and may do so for as long as they like. */
  readonly injected: () => readonly number[]
  readonly target: Pick<Target, 'lockWaits' | 'isBusy' | 'stillThere'>
  /** Statements that have their outcome. */
  readonly completed: () => number
  /** Without a schedule, nothing but order and the server can make a statement wait. */
  readonly unscheduled: boolean
  readonly released: (parked: Parked, why: string) => void
  /** The target is gone. */
  readonly failed: (error: unknown) => void
}

const LOOK_MS = 100
/** Looking costs the server a query: as long as nothing is found, look less often. */
const LOOK_MS_MAX = 1000
/** Nothing has completed for so long: something holds everybody up that cannot be seen (a prepared transaction, say). */
const STILL_MS_MAX = 5000

export class Guard {
  readonly #options: GuardOptions
  readonly #progress: Progress
  #timer: NodeJS.Timeout | null = null
  #lookMs = LOOK_MS
  #parkedBefore = new Map<number, number>()
  #suspects = new Map<number, number>()
  #completedBefore = -1
  #stillSinceMs = 0
  #stopped = false

  constructor(options: GuardOptions) {
    this.#options = options
    this.#progress = new Progress(options.progress, -1)
    this.#next()
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #next(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#look().then(
        () => this.#next(),
        (error: unknown) => this.#options.failed(error),
      )
    }, this.#lookMs)
  }

  async #look(): Promise<void> {
    await this.#options.target.stillThere()
    const before = this.#parkedBefore
    const parked = this.#parked()
    this.#parkedBefore = new Map(parked.map(({ session, index }) => [session, index]))
    const lasting = parked.filter(({ session, index }) => before.get(session) === index)
    if (lasting.length === 0) {
      this.#lookMs = LOOK_MS
      this.#suspects.clear()
      this.#noteProgress()
      return
    }
    const waits = await this.#options.target.lockWaits()
    if (waits === null || this.#stopped) return
    const circles = findReleases(lasting, this.#blocked(waits), this.#queued())
    // Locks and parked statements are looked at one after the other: only what is seen twice is a circle.
    const certain = circles.filter(({ session, index }) => this.#suspects.get(session) === index)
    this.#suspects = new Map(circles.map(({ session, index }) => [session, index]))
    for (const release of certain) this.#release(release, 'it waited for a session that waits for its lock')
    this.#lookMs = circles.length > 0 ? LOOK_MS : Math.min(this.#lookMs * 2, LOOK_MS_MAX)
    if (circles.length === 0) await this.#endStillness(lasting, waits)
  }

  async #endStillness(lasting: readonly Parked[], waits: readonly LockWait[]): Promise<void> {
    if (this.#noteProgress() < STILL_MS_MAX || this.#options.injected().length > 0) return
    const pids = [...this.#options.progress.backendPids].filter((pid) => pid !== 0)
    const stuck = waits.length > 0 || (this.#options.unscheduled && (await this.#options.target.isBusy(pids)) === false)
    if (!stuck || this.#stopped) return
    this.#release(
      lasting.reduce((lowest, parked) => (parked.index < lowest.index ? parked : lowest)),
      'nothing went on any more',
    )
    this.#stillSinceMs = performance.now()
  }

  /** For how long nothing has completed. */
  #noteProgress(): number {
    const completed = this.#options.completed()
    if (completed !== this.#completedBefore) {
      this.#completedBefore = completed
      this.#stillSinceMs = performance.now()
    }
    return performance.now() - this.#stillSinceMs
  }

  #parked(): Parked[] {
    const { ordinals, progress } = this.#options
    const { parkedIndex, parkedOn, parkedOnOrdinal, sessions } = progress
    const parked: Parked[] = []
    for (let session = 0; session < sessions; session++) {
      const index = Atomics.load(parkedIndex, session) - 1
      if (index < 0) continue
      const [on, onOrdinal] = [Atomics.load(parkedOn, session), Atomics.load(parkedOnOrdinal, session)]
      parked.push({ session, ordinal: ordinals[index]!, index, on, onOrdinal })
    }
    return parked
  }

  #blocked(waits: readonly LockWait[]): Blocked[] {
    const sessionOf = new Map<number, number>()
    this.#options.progress.backendPids.forEach((pid, session) => {
      if (pid !== 0) sessionOf.set(pid, session)
    })
    this.#options.injected().forEach((pid, i) => {
      sessionOf.set(pid, this.#options.progress.sessions + i)
    })
    return waits.flatMap(({ pid, by }) => {
      const session = sessionOf.get(pid)
      if (session === undefined) return []
      return [{ session, by: by.flatMap((holder) => sessionOf.get(holder) ?? []) }]
    })
  }

  /** Who waits for a connection that others have: see ./sharing.ts. */
  #queued(): Queued[] {
    const { wantsOf, holdsOf, sessions } = this.#options.progress
    const queued: Queued[] = []
    for (let session = 0; session < sessions; session++) {
      const pool = Atomics.load(wantsOf, session)
      if (pool === 0) continue
      const holders: number[] = []
      for (let holder = 0; holder < sessions; holder++) if (Atomics.load(holdsOf, holder) === pool) holders.push(holder)
      queued.push({ session, holders })
    }
    return queued
  }

  #release(parked: Parked, why: string): void {
    Atomics.store(this.#options.progress.released, parked.session, parked.index + 1)
    this.#progress.wake(this.#options.workerOf[parked.session]!)
    this.#options.released(parked, why)
  }
}
