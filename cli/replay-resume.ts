/**
 * `replay --resume`: whether the interrupted run can be gone on with, on this shadow and with these options. Refused before anything is touched.
 */
import { EXIT, HarnessError } from '../base/errors.js'
import { type Earlier, readEarlier } from '../replayer/run/earlier.js'
import { leftOff } from '../replayer/shadow/left-off.js'
import type { SqlClient } from '../replayer/shadow/marker.js'
import type { RunFacts } from '../segment/run.js'

/** Options that would make another replay of it. */
type OtherWays = { readonly loop?: string; readonly inject?: readonly string[] }

export function earlierOf(path: string, flags: OtherWays, recordingId: string): Earlier {
  if (flags.loop !== undefined || flags.inject !== undefined)
    throw cannot(
      `--resume does not go with ${flags.loop === undefined ? '--inject' : '--loop'}`,
      'Replay again from the beginning.',
    )
  const earlier = readEarlier(path)
  if (earlier === null)
    throw cannot(
      `the run at ${path} cannot be gone on with`,
      'Restore the shadow (`pgrehearse snapshot clone`) and replay again.',
      'it was not interrupted, or it did not come to rest between two transactions of each session.',
    )
  if (earlier.facts.recordingId !== recordingId)
    throw cannot(`the run at ${path} is of another recording`, 'Name the recording that it was made from.')
  return earlier
}

type Settings = {
  readonly order: RunFacts['settings']['order']
  readonly readOnly: boolean
  readonly filter: readonly string[]
  readonly rewrite: string | null
}

export function refuseOtherSettings({ facts: { settings } }: Earlier, now: Settings): void {
  const differs = [
    ...(settings.order === now.order ? [] : ['--order']),
    ...(settings.readOnly === now.readOnly ? [] : ['--read-only']),
    ...((settings.filter ?? []).join() === now.filter.join() ? [] : ['--from, --to or --only']),
    ...(settings.rewriteHash === now.rewrite ? [] : ['--rewrite']),
  ]
  if (differs.length === 0) return
  throw cannot(
    `the interrupted run was made with other options: ${differs.join(', ')}`,
    'Give the options that it was begun with.',
  )
}

export async function refuseOtherShadow(client: SqlClient, { facts }: Earlier): Promise<void> {
  const found = await leftOff(client, facts.id)
  if (found === 'same') return
  throw cannot(
    'the shadow is not as the interrupted run left it',
    'Make a new shadow (`pgrehearse snapshot clone`) and replay from the beginning.',
    found === 'changed'
      ? 'rows or tables were changed since, or its server was restarted after a crash.'
      : 'it is another shadow, or another replay has been there since.',
  )
}

function cannot(message: string, hint: string, detail?: string): HarnessError {
  return new HarnessError({
    code: 'CANNOT_RESUME',
    message,
    ...(detail === undefined ? {} : { detail }),
    hint,
    exit: EXIT.usage,
  })
}
