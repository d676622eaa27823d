/**
 * The outbox of a worker: rows on their way to the thread that writes them, in batches, with a bound on what is under way.
 */
import type { MessagePort } from 'node:worker_threads'
import type { RunRow, SkippedStatement } from '../../segment/run.js'
import { encodeRunRows } from '../../segment/run-codec.js'
import type { FromWorker, News } from './task.js'

const BATCH_ROWS = 256
/** Kept rows can be large: a batch is also closed when its results have this many cells. */
const BATCH_CELLS = 16_384
const UNDER_WAY_MAX = 16

type Sums = { -readonly [Key in keyof News]: News[Key] }

export class Outbox {
  readonly #port: MessagePort
  readonly #keepsOutcomes: boolean
  readonly #freed: () => void
  #rows: RunRow[] = []
  #cells = 0
  #skipped: SkippedStatement[] = []
  #underWay = 0
  #news: Sums = noNews()

  /** Without outcomes, news is all that goes out. */
  constructor(port: MessagePort, keepsOutcomes: boolean, freed: () => void) {
    this.#port = port
    this.#keepsOutcomes = keepsOutcomes
    this.#freed = freed
  }

  /** The writer is behind: nothing more should be made until `freed` is called. */
  get isFull(): boolean {
    return this.#underWay >= UNDER_WAY_MAX
  }

  row(row: RunRow, offsetUs: number): void {
    if (this.#keepsOutcomes) {
      this.#rows.push(row)
      this.#cells += (row.outcome.rows?.length ?? 0) * (row.outcome.columns?.length ?? 0)
    }
    const { timing, outcome, orderRelaxed } = row
    const news = this.#news
    news.statements += 1
    if (outcome.error !== null) news.errors += 1
    if (orderRelaxed) news.relaxed += 1
    news.offsetUs = Math.max(news.offsetUs, offsetUs)
    news.lateUsMax = Math.max(news.lateUsMax, timing.sentUs - timing.dueUs)
    if (this.#rows.length >= BATCH_ROWS || this.#cells >= BATCH_CELLS) this.flush()
  }

  skipped(seq: number, reason: string): void {
    this.#skipped.push({ seq, reason })
    if (this.#skipped.length >= BATCH_ROWS) this.flush()
  }

  filtered(): void {
    this.#news.filtered += 1
  }

  flush(): void {
    if (this.#skipped.length > 0) this.#post({ kind: 'skipped', statements: this.#skipped.splice(0) })
    if (this.#rows.length === 0) {
      if (this.#news.filtered > 0 || this.#news.statements > 0) this.#post({ kind: 'news', news: this.#news })
      this.#news = noNews()
      return
    }
    const buffer = encodeRunRows(this.#rows)
    this.#rows = []
    this.#cells = 0
    this.#underWay += 1
    this.#post({ kind: 'rows', buffer, news: this.#news }, [buffer])
    this.#news = noNews()
  }

  written(): void {
    this.#underWay -= 1
    if (this.#underWay === UNDER_WAY_MAX - 1) this.#freed()
  }

  #post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }
}

function noNews(): Sums {
  return { statements: 0, filtered: 0, errors: 0, relaxed: 0, offsetUs: 0, lateUsMax: 0 }
}
