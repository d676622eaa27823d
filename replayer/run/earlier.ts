/**
 * What an interrupted replay had done: read from its run, for the replay that goes on with it.
 */
import type { RunFacts } from '../../segment/run.js'
import { openRun } from '../../segment/run-file.js'
import type { Measured } from './measures.js'
import type { Pairs } from './pairs.js'

export type Earlier = {
  readonly facts: RunFacts
  /** Of each session, the ordinal up to which it is done. */
  readonly done: readonly number[]
  readonly outcomes: number
  readonly notSent: ReadonlyMap<number, string>
  readonly mapped: readonly { readonly domain: string; readonly recorded: string; readonly actual: string }[]
}

/** null: that run has nothing that could be gone on with. */
export function readEarlier(path: string): Earlier | null {
  const run = openRun(path)
  try {
    const { facts, count } = run
    if (facts.leftOff === undefined) return null
    return {
      facts,
      done: facts.leftOff,
      outcomes: count,
      notSent: new Map([...run.skipped()].map(({ seq, reason }) => [seq, reason])),
      mapped: [...run.mapped()],
    }
  } finally {
    run.close()
  }
}

/** Values that the server made before, in place of production's. */
export function knowAgain({ mapped }: Earlier, pairs: Pairs, domains: readonly string[]): void {
  const numbers = new Map(domains.map((name, domain) => [name, domain]))
  for (const { domain, recorded, actual } of mapped) {
    const number = numbers.get(domain)
    if (number !== undefined) pairs.publish({ domain: number, recorded, actual })
  }
}

export function measuredEarlier({ facts: { latency }, outcomes }: Earlier): Measured[] {
  if (latency === undefined) return []
  const { service, response, lateness, latenessUs } = latency
  const causes = {
    orderUs: latenessUs.order,
    connectionUs: latenessUs.connection,
    serverUs: latenessUs.server,
    workerUs: latenessUs.worker,
  }
  return [
    { service: service.hdr, response: response.hdr, lateness: lateness.hdr, causes, errors: {}, statements: outcomes },
  ]
}
