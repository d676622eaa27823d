/**
 * A rehearsal: what its file says, where its results lie, and how the runs, diffs and databases of its steps are called.
 */
import { join } from 'node:path'
import type { RunConfig } from './config.js'
import type { Keys, StepName } from './keys.js'
import type { Servers } from './servers.js'

export type Rehearsal = {
  readonly config: RunConfig
  /** Of the file, which its paths start from. */
  readonly folder: string
  readonly out: string
  readonly servers: Servers
  readonly version: string
  readonly fresh: boolean
}

export type Side = 'V1' | 'V2'

export type ReplayStep = 'baseline' | 'noise' | 'candidate'

export function isReplay(step: StepName): step is ReplayStep {
  return step === 'baseline' || step === 'noise' || step === 'candidate'
}

/** `null`: the step makes no file. */
export function fileOf(step: StepName, keys: Keys, out: string): string | null {
  const { key } = keys[step]
  if (step === 'compare' || step === 'verify' || step === 'audit')
    return join(out, `rehearsal-${keys.compare.key}.diff`)
  if (step === 'fidelity') return join(out, `fidelity-${key}.diff`)
  return step.startsWith('golden') ? null : join(out, `${step}-${key}.run`)
}

/** A golden's name holds its key, so that whoever needs the same one finds it. */
export function databaseOf(step: StepName, keys: Keys): string | null {
  const { key } = keys[step]
  if (!WITH_DATABASE.has(step)) return null
  return step.startsWith('golden') ? `pgr_${sideOf(step).toLowerCase()}_${key}` : `pgr_${step}_${key}`
}

const WITH_DATABASE: ReadonlySet<StepName> = new Set(['golden V1', 'golden V2', 'baseline', 'noise', 'candidate'])

export function sideOf(step: StepName): Side {
  return step === 'golden V2' || step === 'candidate' ? 'V2' : 'V1'
}
