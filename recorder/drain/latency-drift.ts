/**
 * Are the recorded statements getting slower? Each fingerprint is compared with its own first executions, so that a change of the mix
 * is no drift; the figure is the geometric mean over what came in the last window, so that one slow execution is none either.
 */
const BASELINE_EXECUTIONS = 30
const FINGERPRINTS_MAX = 1000
const WINDOW_US = 5_000_000
const WINDOW_EXECUTIONS_MIN = 30

type Baseline = { executions: number; logSum: number }

export class LatencyDrift {
  readonly #baselines = new Map<string, Baseline>()
  #windowFromUs = 0
  #executions = 0
  #logSum = 0
  /** NaN: not enough is known. */
  value = Number.NaN

  add(fingerprint: string, sentUs: number, doneUs: number): void {
    if (doneUs - this.#windowFromUs >= WINDOW_US) this.#close(doneUs)
    const log = Math.log(Math.max(1, doneUs - sentUs))
    let baseline = this.#baselines.get(fingerprint)
    if (baseline === undefined) {
      if (this.#baselines.size >= FINGERPRINTS_MAX) return
      baseline = { executions: 0, logSum: 0 }
      this.#baselines.set(fingerprint, baseline)
    }
    if (baseline.executions < BASELINE_EXECUTIONS) {
      baseline.executions += 1
      baseline.logSum += log
      return
    }
    this.#executions += 1
    this.#logSum += log - baseline.logSum / baseline.executions
  }

  #close(atUs: number): void {
    this.value = this.#executions < WINDOW_EXECUTIONS_MIN ? Number.NaN : Math.exp(this.#logSum / this.#executions)
    this.#windowFromUs = atUs
    this.#executions = 0
    this.#logSum = 0
  }
}
