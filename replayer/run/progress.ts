/// <reference lib="es2024.sharedmemory" />
/**
 * Progress of all sessions, shared by all workers: how far each has completed, and how far it has taken snapshots.
 *
 * A worker's thread holds live sockets, so a parked statement must not block it: a worker writes down, per session, from which
 * ordinal on it wants to be told, and whoever gets there wakes that worker, once, however many statements are parked. Both sides
 * first write and then look (all accesses are sequentially consistent), so a wake-up cannot be missed.
 *
 * Measured here, one way between two idle threads: Atomics.waitAsync 23 µs, a MessagePort 24 µs, nearly all of it the kernel
 * waking a thread. waitAsync needs no object per wake-up; and a worker that is awake sees the flag at its next socket event
 * (pollWake), without waiting for the loop to deliver the promise.
 */

/** An ordinal no session reaches: everything it would have done counts as done. */
const FOREVER = 0x7fffffff

export const COMPLETED = 0
export const SNAPSHOT = 1
/** What a wait is for: completion, or that the snapshot has been taken. */
export type WaitKind = typeof COMPLETED | typeof SNAPSHOT

export type SharedProgress = {
  readonly sessions: number
  readonly workers: number
  readonly completed: Int32Array
  readonly snapshots: Int32Array
  /** Per session and worker: the ordinal from which that worker wants a wake-up; 0 is never. */
  readonly wanted: Int32Array
  readonly wakeFlags: Int32Array
  /** For the watchdog, per session: plan index + 1 of the statement parked there (0: none), and the session and ordinal it waits for. */
  readonly parkedIndex: Int32Array
  readonly parkedOn: Int32Array
  readonly parkedOnOrdinal: Int32Array
  /** By the watchdog, per session: plan index + 1 of the statement that need not wait any longer. */
  readonly released: Int32Array
  readonly backendPids: Int32Array
  /** Where sessions share connections, per session: number of the pool + 1 that it waits for, or has a connection of. 0: neither. */
  readonly wantsOf: Int32Array
  readonly holdsOf: Int32Array
  /** One number: sessions that are not at rest. See `Agenda.drain`. */
  readonly restless: Int32Array
}

export function createProgress(sessions: number, workers: number): SharedProgress {
  const shared = (length: number) => new Int32Array(new SharedArrayBuffer(Math.max(1, length) * 4))
  return {
    sessions,
    workers,
    completed: shared(sessions),
    snapshots: shared(sessions),
    wanted: shared(sessions * workers),
    wakeFlags: shared(workers * WAKE_STRIDE),
    parkedIndex: shared(sessions),
    parkedOn: shared(sessions),
    parkedOnOrdinal: shared(sessions),
    released: shared(sessions),
    backendPids: shared(sessions),
    wantsOf: shared(sessions),
    holdsOf: shared(sessions),
    restless: shared(1),
  }
}

/** A cache line each, or workers that wake each other would slow each other down. */
const WAKE_STRIDE = 16

export class Progress {
  readonly #shared: SharedProgress
  readonly #worker: number

  constructor(shared: SharedProgress, worker: number) {
    this.#shared = shared
    this.#worker = worker
  }

  reached(session: number, ordinal: number, kind: WaitKind): boolean {
    const counter = kind === COMPLETED ? this.#shared.completed : this.#shared.snapshots
    return Atomics.load(counter, session) >= ordinal
  }

  /** A snapshot counts as taken at the latest when the statement has completed. */
  complete(session: number, ordinal: number): void {
    if (ordinal > Atomics.load(this.#shared.snapshots, session)) Atomics.store(this.#shared.snapshots, session, ordinal)
    Atomics.store(this.#shared.completed, session, ordinal)
    this.#wakeOthers(session, ordinal)
  }

  snapshotTaken(session: number, ordinal: number): void {
    if (ordinal <= Atomics.load(this.#shared.snapshots, session)) return
    Atomics.store(this.#shared.snapshots, session, ordinal)
    this.#wakeOthers(session, ordinal)
  }

  /** The session has ended: nobody shall wait for it. */
  finish(session: number): void {
    this.complete(session, FOREVER)
  }

  park(session: number, index: number, on: number, onOrdinal: number): void {
    Atomics.store(this.#shared.parkedOn, session, on)
    Atomics.store(this.#shared.parkedOnOrdinal, session, onOrdinal)
    Atomics.store(this.#shared.parkedIndex, session, index + 1)
  }

  unpark(session: number): void {
    Atomics.store(this.#shared.parkedIndex, session, 0)
  }

  /** Somebody is parked on something that the session has not done yet. */
  isAwaited(session: number): boolean {
    const { sessions, parkedIndex, parkedOn, parkedOnOrdinal, completed } = this.#shared
    for (let other = 0; other < sessions; other++) {
      if (Atomics.load(parkedIndex, other) === 0 || Atomics.load(parkedOn, other) !== session) continue
      if (Atomics.load(parkedOnOrdinal, other) > Atomics.load(completed, session)) return true
    }
    return false
  }

  /** A session came to rest, or has been roused. */
  rests(isAtRest: boolean): void {
    Atomics.add(this.#shared.restless, 0, isAtRest ? -1 : 1)
  }

  isReleased(session: number, index: number): boolean {
    return Atomics.load(this.#shared.released, session) === index + 1
  }

  /** From now on this worker is woken when the session reaches the ordinal (0: no more). Look again after calling. */
  want(session: number, ordinal: number): void {
    Atomics.store(this.#shared.wanted, session * this.#shared.workers + this.#worker, ordinal)
  }

  wake(worker: number): void {
    const at = worker * WAKE_STRIDE
    if (Atomics.exchange(this.#shared.wakeFlags, at, 1) === 0) Atomics.notify(this.#shared.wakeFlags, at)
  }

  wakeAll(): void {
    for (let worker = 0; worker < this.#shared.workers; worker++) if (worker !== this.#worker) this.wake(worker)
  }

  /** Whether this worker was woken since it last asked. */
  pollWake(): boolean {
    const at = this.#worker * WAKE_STRIDE
    if (Atomics.load(this.#shared.wakeFlags, at) === 0) return false
    Atomics.store(this.#shared.wakeFlags, at, 0)
    return true
  }

  /** Calls back after each wake-up until the signal aborts. */
  onWake(callback: () => void, signal: AbortSignal): void {
    const at = this.#worker * WAKE_STRIDE
    const listen = (): void => {
      for (;;) {
        if (signal.aborted) return
        if (this.pollWake()) callback()
        const wait = Atomics.waitAsync(this.#shared.wakeFlags, at, 0)
        if (!wait.async) continue
        void wait.value.then(listen)
        return
      }
    }
    listen()
  }

  #wakeOthers(session: number, ordinal: number): void {
    const { workers, wanted } = this.#shared
    for (let worker = 0, at = session * workers; worker < workers; worker++, at++) {
      if (worker === this.#worker) continue
      const wants = Atomics.load(wanted, at)
      if (wants !== 0 && ordinal >= wants) this.wake(worker)
    }
  }
}
