/**
 * Before a replay: every way out of the shadow is shut, and its sessions get limits. After it: how often each stub was called.
 */
import type { RunDoor, RunIsolation } from '../../../segment/run.js'
import { loadParser } from '../../../sql/parse.js'
import type { Connected } from '../connect.js'
import { setLimits } from './limits.js'
import { countCalls, type ShutDoor, shutDoors } from './shut.js'
import { unjudgedExtensions } from './unjudged.js'

export type PreflightOptions = {
  readonly leaveOpen?: readonly string[]
  readonly limits?: Readonly<Record<string, string>>
  /** Sessions of the recording. */
  readonly sessions: number
}

export type Preflight = {
  readonly doors: readonly ShutDoor[]
  readonly limits: Readonly<Record<string, string>>
  /** What a person should know: extensions nobody here knows, limits that could not be set. */
  readonly notes: readonly string[]
  /** Calls of each stub before this replay. */
  readonly callsBefore: ReadonlyMap<string, number>
}

export async function preflight(client: Connected, options: PreflightOptions): Promise<Preflight> {
  await loadParser()
  const doors = await shutDoors(client, { leaveOpen: options.leaveOpen ?? [] })
  const { limits, notes: unlimited } = await setLimits(client, options.limits ?? {}, options.sessions)
  const notes = [...unlimited]
  const unjudged = await unjudgedExtensions(client)
  const { rows } = await client.query(`SELECT rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = current_user`)
  if (rows[0]?.super === true)
    notes.push(
      'sessions replay as a superuser: a function that puts together COPY … PROGRAM while it runs could still start it',
    )
  return {
    doors,
    limits,
    notes: [
      ...unjudged.map((name) => `extension ${name} is not known here: whether it leads out was not judged`),
      ...notes,
    ],
    callsBefore: await countCalls(client),
  }
}

/** After something was run beside the replay: what it opened is shut as well. */
export async function shutAgain(
  client: Connected,
  before: Preflight,
  options: { readonly leaveOpen: readonly string[]; readonly inTransaction: boolean },
): Promise<Preflight> {
  const known = new Set(before.doors.map(({ kind, name }) => `${kind} ${name}`))
  const now = await shutDoors(client, { ...options, lenient: true })
  return { ...before, doors: [...before.doors, ...now.filter(({ kind, name }) => !known.has(`${kind} ${name}`))] }
}

/** What the run keeps of it. */
export async function isolationOf(client: Connected, before: Preflight): Promise<RunIsolation> {
  const calls = await countCalls(client)
  const counted = ({ kind, name, state }: ShutDoor): RunDoor => ({
    kind,
    name,
    state,
    calls: state === 'stub' ? (calls.get(name) ?? 0) - (before.callsBefore.get(name) ?? 0) : null,
  })
  return { doors: before.doors.map(counted), limits: before.limits }
}
