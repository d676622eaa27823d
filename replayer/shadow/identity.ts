/**
 * Who a server of ours runs as. initdb and postgres refuse root, so as root they get an unprivileged user, and everything
 * they read or write must be within that user's reach.
 */
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { HarnessError } from '../../base/errors.js'

const run = promisify(execFile)

export type Identity = { readonly uid: number; readonly gid: number }

/** undefined: run as we are. An existing data folder belongs to somebody already, and only they can start it. */
export async function serverIdentity(existingDataDir?: string): Promise<Identity | undefined> {
  if (process.platform === 'win32' || userInfo().uid !== 0) return undefined
  if (existingDataDir !== undefined) {
    const { uid, gid } = statSync(existingDataDir)
    if (uid !== 0) return { uid, gid }
  }
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(
        ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)),
      )
      return { uid: uid!, gid: gid! }
    } catch {
      // That user does not exist here; try the next.
    }
  }
  throw new HarnessError({
    code: 'NO_UNPRIVILEGED_USER',
    message: 'PostgreSQL cannot run as root',
    detail: 'there is neither a user postgres nor a user nobody to run it under',
    hint: 'Run pgrehearse as a normal user.',
  })
}

/** May this user pass through every folder down to `path`, and enter (or run) `path` itself? */
export function canReach(path: string, identity: Identity | undefined): boolean {
  if (identity === undefined) return true
  for (let step = resolve(path); ; step = dirname(step)) {
    const { mode, uid, gid } = statSync(step)
    const bit = uid === identity.uid ? 0o100 : gid === identity.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (step === dirname(step)) return true
  }
}
