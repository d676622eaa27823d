/**
 * Pacing: when is a recorded statement due, and how fast may statements follow each other?
 *
 * Arithmetic on plain numbers: nobody here reads a clock. The schedule is absolute (due = offset / speed, counted from the
 * start of the replay), so there is no drift, at 0.1 times as at 10 times.
 * Goals: keep the recorded gaps at any speed; never hide lateness.
 * Non-goals: order (./agenda.ts).
 */

/** `max`: time does not matter, only order does. */
export type Speed = number | 'max'

/** How time is kept. */
export type Pacing = {
  readonly speed: Speed
  /** How long it takes to reach full speed; 0: it begins with it. */
  readonly rampUs: number
  /**
   * null: the recorded schedule, whatever the answers take. A number: a session's next statement follows its last answer by so many
   * times the recorded pause (0: at once).
   */
  readonly think: number | null
}

export function dueUs(offsetUs: number, speed: Speed): number {
  return speed === 'max' ? 0 : offsetUs / speed
}

/**
 * A ramp: speed grows evenly from nothing until the ramp is over, so what the schedule wants at half of it is then just due.
 * Nothing jumps: from there on everything is late by half a ramp.
 */
export function ramped(dueUs: number, rampUs: number): number {
  return dueUs < rampUs / 2 ? Math.sqrt(2 * rampUs * dueUs) : dueUs + rampUs / 2
}

/** Without a schedule, sessions begin one after the other over the ramp. */
export function rampedStart(position: number, sessions: number, rampUs: number): number {
  return sessions === 0 ? 0 : (position * rampUs) / sessions
}

export type Rate = {
  /** Distance of two statements at the allowed rate. */
  readonly intervalUs: number
  /** How far a burst may run ahead of the rate. */
  readonly burstUs: number
}

/** A burst is a tenth of a second's worth: small enough to be no wave, large enough that one turn of a loop is not throttled. */
export function rateOf(perSecondMax: number): Rate {
  return { intervalUs: 1e6 / perSecondMax, burstUs: 1e5 }
}

/**
 * A token bucket without a bucket: all that is kept is when the bucket would be full again (`fullAtUs`). Taking a token moves
 * that moment on by one interval, and `sendAtUs` says when the token may be used.
 */
export function takeToken(fullAtUs: number, nowUs: number, rate: Rate): { fullAtUs: number; sendAtUs: number } {
  const base = Math.max(fullAtUs, nowUs)
  return { fullAtUs: base + rate.intervalUs, sendAtUs: Math.max(nowUs, base - rate.burstUs) }
}

/** One rate for all workers: when the bucket is full again (in nanoseconds) lives in shared memory. */
export function sharedTurns(fullAtNs: BigInt64Array, rate: Rate): (nowUs: number) => number {
  return (nowUs) => {
    for (;;) {
      const before = Atomics.load(fullAtNs, 0)
      const turn = takeToken(Number(before) / 1000, nowUs, rate)
      const after = BigInt(Math.round(turn.fullAtUs * 1000))
      if (Atomics.compareExchange(fullAtNs, 0, before, after) === before) return turn.sendAtUs
    }
  }
}
