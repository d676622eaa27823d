/**
 * Where goldens and shadows of a rehearsal live: a server of the user's, or one of our own whose data stays in the folder of results.
 * One of our own is started when it is first needed, and stopped at the end.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HarnessError } from '../../base/errors.js'
import { dropDatabase, dropShadow } from '../../replayer/shadow/clone.js'
import { withAdmin, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { type Marker, readMarker } from '../../replayer/shadow/marker.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { EMBEDDED } from './config.js'

export class Servers {
  readonly #dataDir: string
  readonly #binaries: string | undefined
  #owned: Promise<OwnedServer> | null = null

  constructor(out: string, binaries: string | undefined) {
    this.#dataDir = join(out, 'postgres')
    this.#binaries = binaries
  }

  /** Without starting anything: is there something that could hold a database? */
  mayHold(server: string): boolean {
    return server !== EMBEDDED || existsSync(this.#dataDir)
  }

  isUp(server: string): boolean {
    return server !== EMBEDDED || this.#owned !== null
  }

  async url(server: string, database: string): Promise<string> {
    if (server !== EMBEDDED) return withDatabase(server, database)
    this.#owned ??= startServer({
      dataDir: this.#dataDir,
      ...(this.#binaries === undefined ? {} : { binaries: this.#binaries }),
    })
    return (await this.#owned).url(database)
  }

  async stop(): Promise<void> {
    await (await this.#owned?.catch(() => null))?.stop()
  }
}

/** `ours`: marked by a restore or a clone; `unmarked`: there, and anybody's. */
export async function lookAt(url: string): Promise<Marker | 'unmarked' | 'absent'> {
  try {
    return (await withClient(url, readMarker)) ?? 'unmarked'
  } catch (error) {
    if (error instanceof HarnessError && error.code === 'NO_SUCH_DATABASE') return 'absent'
    throw error
  }
}

/** `begun`: we were making it when we were stopped, so it is ours although nothing in it says so yet. */
export async function clearAway(url: string, database: string, begun: boolean): Promise<void> {
  const found = await lookAt(url)
  if (found === 'absent') return
  if (found === 'unmarked' && begun) await withAdmin(url, (admin) => dropDatabase(admin, database))
  else await dropShadow(url, database)
}
