/** A standby of a server of ours: a copy of its files that follows it. */
import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withClient } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'

export type StandbyOptions = {
  /** Applies what it is sent so many seconds later. */
  readonly delaySeconds?: number
  /** Those of the primary that a standby must have as high. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function standbyOf(
  primary: OwnedServer,
  { delaySeconds = 0, settings = {} }: StandbyOptions = {},
): Promise<OwnedServer> {
  const dataDir = join(primary.dataDir, '..', 'standby')
  const label = await withClient(primary.url(), async (client) => {
    await client.query("SELECT pg_backup_start('standby', true)")
    execFileSync('cp', ['-a', primary.dataDir, dataDir])
    return (await client.query('SELECT labelfile FROM pg_backup_stop(false)')).rows[0].labelfile
  })
  // As root we are somebody else than the server.
  for (const [name, text] of [
    ['backup_label', label],
    ['standby.signal', ''],
  ] as const) {
    writeFileSync(join(dataDir, name), text)
    chmodSync(join(dataDir, name), 0o666)
  }
  rmSync(join(dataDir, 'postmaster.pid'))
  return startServer({
    dataDir,
    settings: {
      ...settings,
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password}`,
      recovery_min_apply_delay: `${delaySeconds}s`,
      wal_receiver_status_interval: '1s',
    },
  })
}

/** Everything that was written so far can be read there. */
export async function caughtUp(primary: OwnedServer, standby: OwnedServer): Promise<void> {
  const [{ lsn }] = await withClient(
    primary.url(),
    async (client) => (await client.query('SELECT pg_current_wal_insert_lsn()::text AS lsn')).rows,
  )
  await withClient(standby.url(), async (client) => {
    for (;;) {
      const { rows } = await client.query('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there', [lsn])
      if (rows[0].there === true) return
    }
  })
}
