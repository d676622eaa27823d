/**
 * Sessions over workers: the largest first, each to the worker that has least so far.
 */
export function balance(work: readonly number[], workers: number): number[] {
  const load = new Array<number>(workers).fill(0)
  const worker = new Array<number>(work.length).fill(0)
  const largestFirst = work.map((_, session) => session).sort((a, b) => work[b]! - work[a]! || a - b)
  for (const session of largestFirst) {
    let least = 0
    for (let w = 1; w < workers; w++) if (load[w]! < load[least]!) least = w
    worker[session] = least
    // Even a session without statements costs a connection.
    load[least]! += work[session]! + 1
  }
  return worker
}
