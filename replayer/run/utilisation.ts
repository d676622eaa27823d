/**
 * Is this thread the bottleneck? The share of time its event loop was busy, per second; the highest is what counts.
 */
import { performance } from 'node:perf_hooks'

const SAMPLE_MS = 1000

export function utilisationSampler(): { readonly latest: number; stop(): number } {
  const begin = performance.eventLoopUtilization()
  let last = begin
  let highest = 0
  let latest = 0
  let samples = 0
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    latest = performance.eventLoopUtilization(now, last).utilization
    highest = Math.max(highest, latest)
    last = now
    samples += 1
  }, SAMPLE_MS)
  timer.unref()
  return {
    get latest() {
      return latest
    },
    stop() {
      clearInterval(timer)
      return samples > 0 ? highest : performance.eventLoopUtilization(begin).utilization
    },
  }
}
