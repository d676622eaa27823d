/**
 * The outbox of a worker: rows on their way to the thread that writes them, in batches, with a bound on what is under way.
 */
import type { MessagePort } from 'node:worker_threads'
import type { RunRow, SkippedStatement } from '../../segment/run.js'
import { encodeRunRows } from '../../segment/run-codec.js'
import type { Causes } from './job.js'
import { SERVICE_BOUNDS_US, serviceBucket } from './status.js'
import type { FromWorker, News } from './task.js'

const BATCH_ROWS = 256
/** Kept rows can be large: a batch is also closed when its results have this many cells. */
const BATCH_CELLS = 16_384
const UNDER_WAY_MAX = 16

type Sums = { -readonly [Key in Exclude<keyof News, 'serviceCounts' | 'causes' | 'utilisation'>]: News[Key] } & {
  readonly serviceCounts: number[]
  readonly causes: { -readonly [Cause in keyof Causes]: number }
}

export class Outbox {
  readonly #port: Pick<MessagePort, 'postMessage'>
  readonly #keepsOutcomes: boolean
  readonly #utilisation: () => number
  readonly #freed: () => void
  #rows: RunRow[] = []
  #cells = 0
  #skipped: SkippedStatement[] = []
  #underWay = 0
  #news: Sums = noNews()

  /** Without outcomes, news is all that goes out. */
  constructor(
    port: Pick<MessagePort, 'postMessage'>,
    keepsOutcomes: boolean,
    utilisation: () => number,
    freed: () => void,
  ) {
    this.#utilisation = utilisation
    this.#port = port
    this.#keepsOutcomes = keepsOutcomes
    this.#freed = freed
  }

  /** The writer is behind: nothing more should be made until `freed` is called. */
  get isFull(): boolean {
    return this.#underWay >= UNDER_WAY_MAX
  }

  row(row: RunRow, offsetUs: number, causes: Causes): void {
    if (this.#keepsOutcomes) {
      this.#rows.push(row)
      this.#cells += (row.outcome.rows?.length ?? 0) * (row.outcome.columns?.length ?? 0)
    }
    const { timing, outcome, orderRelaxed } = row
    const news = this.#news
    news.statements += 1
    const serviceUs = timing.doneUs - timing.sentUs
    news.serviceUs += serviceUs
    news.serviceCounts[serviceBucket(serviceUs)]! += 1
    news.causes.orderUs += causes.orderUs
    news.causes.connectionUs += causes.connectionUs
    news.causes.serverUs += causes.serverUs
    news.causes.workerUs += causes.workerUs
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
      if (this.#news.filtered > 0 || this.#news.statements > 0) this.#post({ kind: 'news', news: this.#told() })
      this.#news = noNews()
      return
    }
    const buffer = encodeRunRows(this.#rows)
    this.#rows = []
    this.#cells = 0
    this.#underWay += 1
    this.#post({ kind: 'rows', buffer, news: this.#told() }, [buffer])
    this.#news = noNews()
  }

  #told(): News {
    return { ...this.#news, utilisation: this.#utilisation() }
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
  return {
    statements: 0,
    filtered: 0,
    errors: 0,
    relaxed: 0,
    offsetUs: 0,
    lateUsMax: 0,
    serviceUs: 0,
    serviceCounts: new Array<number>(SERVICE_BOUNDS_US.length + 1).fill(0),
    causes: { orderUs: 0, connectionUs: 0, serverUs: 0, workerUs: 0 },
  }
}
