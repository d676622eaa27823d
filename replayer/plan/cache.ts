/**
 * The plan beside its recording, so that every replay and comparison after the first finds it made.
 *
 * A plan is a function of the recording, its catalog and the planner, so these are its key; the planner's part of the key is its own
 * code, which nobody can forget to change. A cached plan that does not match, or is damaged, is made again and replaced. Where the
 * folder cannot be written, there is no cache.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publish } from '../../segment/files.js'
import type { RecordingReader } from '../../segment/recording.js'
import { buildPlan, contentOf } from './build.js'
import { type PlanContent, readPlan, writePlan } from './plan-file.js'

export const PLAN_FILE = 'plan.cache'

/** What decides how a plan comes out. */
const PLANNER_FOLDERS = ['replayer/plan', 'replayer/plan/evidence', 'sql', 'segment', 'segment/values']

export type CachedPlan = PlanContent & { readonly reused: boolean }

export async function planOf(recording: RecordingReader): Promise<CachedPlan> {
  // While it grows, or with a tail that was not sealed, it has no name yet.
  const settled = recording.manifest.endedAtMs !== null && recording.recovered === null
  const path = join(recording.path, PLAN_FILE)
  const key = settled ? planKey(recording) : ''
  const known = settled ? readPlan(path, key) : null
  if (known) return { ...known, reused: true }
  const made = contentOf(await buildPlan(recording), recording.manifest.catalog)
  if (settled) keep(path, key, made)
  return { ...made, reused: false }
}

function planKey({ manifest }: RecordingReader): string {
  const { id, catalog, server, segments } = manifest
  return createHash('sha256')
    .update(JSON.stringify([plannerVersion(), id, catalog, server, segments]))
    .digest('hex')
}

/** The planner's code, as it lies on this disk. */
function plannerVersion(): string {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
  const hash = createHash('sha256')
  for (const folder of PLANNER_FOLDERS) {
    for (const name of readdirSync(join(root, folder)).sort())
      if (/\.[jt]s$/.test(name)) hash.update(readFileSync(join(root, folder, name)))
  }
  return hash.digest('hex')
}

/** Whole or not at all; a folder that cannot be written costs the next reader the time of planning, and nothing else. */
function keep(path: string, key: string, content: PlanContent): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    writePlan(temporary, key, content)
    publish(temporary, path)
  } catch {
    rmSync(temporary, { force: true })
  }
}
