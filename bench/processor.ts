/** What threads had of the processor: hardly depends on what else a shared machine does. Linux only; NaN elsewhere. */
import { readFileSync } from 'node:fs'

/** How Linux counts it where it does not count nanoseconds. */
const TICK_US = 10_000

/** Of a process's first thread, in microseconds. */
export function firstThreadUs(pid: number): number {
  try {
    const [runningNs] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')
    return Number(runningNs) / 1000
  } catch {
    return ticksUs(pid)
  }
}

function ticksUs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  } catch {
    return Number.NaN
  }
}

/** Of all threads of this process. */
export function ownUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
