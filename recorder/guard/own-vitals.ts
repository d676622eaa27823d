/** The recorder's own vitals: its event loop, its memory, the disk it writes to. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Readings } from './vitals.js'

const RESOLUTION_MS = 10
const DISK_EVERY_MS = 1000

export class OwnVitals {
  readonly #loop: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  readonly #folder: string
  #freeBytes: number | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #asking = false

  constructor(folder: string) {
    this.#folder = folder
    this.#loop.enable()
  }

  /** Since it was read last; the disk's figure may be a second old. */
  read(nowMs: number): Readings {
    this.#askDisk(nowMs)
    // The histogram holds the whole time between two turns; what was due is not late.
    const late = this.#loop.count === 0 ? 0 : Math.max(0, this.#loop.percentile(99) / 1e6 - RESOLUTION_MS)
    this.#loop.reset()
    return {
      'event-loop': late,
      rss: process.memoryUsage.rss(),
      ...(this.#freeBytes === undefined ? {} : { 'free-disk': this.#freeBytes }),
    }
  }

  end(): void {
    this.#loop.disable()
  }

  /** A disk that does not answer is not asked twice, and nobody waits for it. */
  #askDisk(nowMs: number): void {
    if (this.#asking || nowMs - this.#askedAtMs < DISK_EVERY_MS) return
    this.#asking = true
    this.#askedAtMs = nowMs
    void freeBytes(this.#folder).then((bytes) => {
      this.#freeBytes = bytes
      this.#asking = false
    })
  }
}

/** undefined: it cannot be known. A folder that was taken away is on the disk of its parent. */
async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(folder) !== folder
    return missing ? freeBytes(dirname(folder)) : undefined
  }
}
