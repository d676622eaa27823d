/**
 * The books of a worker: what became of each statement, how long it took and why it was late, on its way to the run's file.
 */
import type { Outcome } from '../../segment/outcome.js'
import type { Lane } from './agenda.js'
import { causesOf, type Job, type Script, timingOf } from './job.js'
import { Measures } from './measures.js'
import type { Outbox } from './outbox.js'
import type { Speed } from './pace.js'
import { type Fate, Tally } from './tally.js'

export class Books {
  readonly measures = new Measures()
  readonly tally = new Tally()
  readonly #outbox: Outbox
  readonly #speed: Speed
  /** What the replay took before it was interrupted. */
  readonly #beforeUs: number

  constructor(outbox: Outbox, speed: Speed, beforeUs = 0) {
    this.#outbox = outbox
    this.#speed = speed
    this.#beforeUs = beforeUs
  }

  outcomes(lane: Lane, job: Job, outcomes: readonly Outcome[], doneUs: readonly number[]): void {
    for (let i = 0; i < job.rows.length; i++) {
      const timing = timingOf(job, doneUs[i]!, this.#speed, this.#beforeUs)
      const outcome = outcomes[i]!
      const causes = causesOf(job, lane, this.#speed)
      this.measures.add(timing.dueUs, timing.sentUs, timing.doneUs, causes)
      if (outcome.error !== null) this.measures.error(outcome.error.sqlstate)
      const row = { seq: job.rows[i]!.seq, timing, outcome, orderRelaxed: job.relaxed }
      this.#outbox.row(row, job.offsetUs, causes)
    }
  }

  accounted(script: Script, fate: Fate): void {
    this.tally.statement(script.session, script.transaction, fate)
    if (fate.kind === 'filtered') this.#outbox.filtered()
    else if (fate.kind !== 'kept') this.#outbox.skipped(script.seq, fate.reason)
  }
}
