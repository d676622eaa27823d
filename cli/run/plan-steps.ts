/**
 * Which steps of a rehearsal have to be done: what is there is looked at here, ./decide.ts decides.
 */
import { existsSync } from 'node:fs'
import { withClient } from '../../replayer/shadow/connect.js'
import { leftOff } from '../../replayer/shadow/left-off.js'
import { openRun } from '../../segment/run-file.js'
import type { Section } from './config.js'
import { type Decision, decide, type Present } from './decide.js'
import { readKept } from './kept.js'
import { type Keys, keysOf, type StepName } from './keys.js'
import { databaseOf, fileOf, isReplay, type Rehearsal, type ReplayStep, sideOf } from './rehearsal.js'
import { lookAt } from './servers.js'

/** What has to be done, as far as can be told without starting or changing anything. */
export async function planSteps(
  { config, folder, out, servers, version, fresh }: Rehearsal,
  { starts }: { readonly starts: boolean },
): Promise<{ readonly keys: Keys; readonly decisions: readonly Decision[] }> {
  const keys = keysOf(config, folder, version)
  const kept = readKept(out)
  const present = new Map<StepName, ReturnType<Present>>()
  for (const step of Object.keys(keys) as StepName[]) {
    const path = fileOf(step, keys, out)
    const file = path !== null && existsSync(path)
    const name = databaseOf(step, keys)
    const { server } = sideOf(step) === 'V2' ? config.v2 : config.v1
    const database = name !== null && (await isThere(step, server, name))
    const stopped = file && isReplay(step) && (await wasStopped(step, path, server))
    present.set(step, { file, database, stopped })
  }
  const { noise, fidelity, audit } = config
  const wanted = { noise, fidelity, verify: config.verify !== null, audit, fresh }
  return { keys, decisions: decide(keys, kept, (step) => present.get(step)!, wanted) }

  async function isThere(step: StepName, server: string, database: string): Promise<boolean> {
    if (!servers.mayHold(server)) return false
    // A server of our own that is not up cannot be asked; what was remembered is then believed.
    if (!starts && !servers.isUp(server)) return kept.steps[step]?.database === database
    const found = await lookAt(await servers.url(server, database))
    return typeof found === 'object' && found.role === (step.startsWith('golden') ? 'golden' : 'shadow')
  }

  async function wasStopped(step: ReplayStep, path: string, server: string): Promise<boolean> {
    const run = stoppedRun(path)
    if (run === null || !canGoOn(step === 'candidate' ? config.candidate : config.baseline)) return false
    const database = databaseOf(step, keys)!
    if (!starts && !servers.isUp(server)) return servers.mayHold(server) && kept.begun.includes(database)
    const url = await servers.url(server, database)
    return (
      typeof (await lookAt(url)) === 'object' && (await withClient(url, (client) => leftOff(client, run))) === 'same'
    )
  }
}

/** The id of a run that came to rest before its end; null: it is whole, or nothing can be made of it. */
function stoppedRun(path: string): string | null {
  try {
    const run = openRun(path)
    try {
      return run.facts.leftOff === undefined ? null : run.facts.id
    } finally {
      run.close()
    }
  } catch {
    // Killed while it wrote: the step is done over, and makes the file anew.
    return null
  }
}

/** What `replay --resume` refuses to go on with, it would refuse here as well. */
function canGoOn(section: Section): boolean {
  return section.inject === undefined && section.loop === undefined
}
