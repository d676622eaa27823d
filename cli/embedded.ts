/**
 * `--embedded[=MAJOR]`: which PostgreSQL is started. Without a version it is production's, where the machine has one, so that plans and
 * answers are those of the same engine; else the one that comes with us, and that is said.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../base/errors.js'
import { binariesOfMajor, embeddedBinaries, embeddedMajor, majorsHere } from '../replayer/shadow/binaries.js'

export type EmbeddedWanted = {
  /** As given; true: without a version. */
  readonly embedded: string | true
  /** Programs the user names himself: they are used as they are. */
  readonly serverBin: string | undefined
  readonly dataDir: string | undefined
  /** Of the snapshot's server. */
  readonly versionNum: number
}

/** undefined: the embedded programs, as their package has them. */
export type EmbeddedChoice = { readonly binaries: string | undefined; readonly note: string | null }

export function chooseEmbedded({ embedded, serverBin, dataDir, versionNum }: EmbeddedWanted): EmbeddedChoice {
  const wanted = embedded === true ? null : majorOf(embedded)
  const kept = dataDir === undefined ? null : majorOfData(dataDir)
  if (serverBin !== undefined) {
    if (wanted !== null) throw both()
    return { binaries: serverBin, note: null }
  }
  if (kept !== null && wanted !== null && kept !== wanted)
    throw new HarnessError({
      code: 'DATA_FOLDER_OTHER_MAJOR',
      message: `cannot start PostgreSQL ${wanted} in ${dataDir}`,
      detail: `its data is of PostgreSQL ${kept}`,
      hint: 'Name another --data-dir for another version.',
      exit: EXIT.usage,
    })
  const production = Math.floor(versionNum / 10000)
  const major = wanted ?? kept ?? production
  const found = binariesOfMajor(major)
  if (found !== null) return { binaries: found === embeddedBinaries() ? undefined : found, note: null }
  if (wanted === null && kept === null)
    return {
      binaries: undefined,
      note: `production is PostgreSQL ${production}, which is not on this machine; this server is PostgreSQL ${embeddedMajor()}`,
    }
  throw new HarnessError({
    code: 'NO_SUCH_MAJOR',
    message: `there is no PostgreSQL ${major} on this machine`,
    detail: `there is ${majorsHere().join(', ')}`,
    hint: `Install it (Debian: apt-get install postgresql-${major}), or name its programs with --server-bin.`,
    exit: EXIT.environment,
  })
}

function majorOf(text: string): number {
  const major = Number(text)
  if (Number.isInteger(major) && major >= 10 && major < 100) return major
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: `--embedded cannot be "${text}"`,
    detail: 'it takes a major version of PostgreSQL, or nothing',
    hint: 'Write --embedded=18, and the snapshot before it.',
    exit: EXIT.usage,
  })
}

function majorOfData(dataDir: string): number | null {
  const path = join(dataDir, 'PG_VERSION')
  return existsSync(path) ? Number.parseInt(readFileSync(path, 'utf8'), 10) : null
}

function both(): HarnessError {
  return new HarnessError({
    code: 'OPTION_VALUE',
    message: 'which PostgreSQL to start is not clear',
    detail: '--embedded names a version, and --server-bin the programs of one',
    hint: 'Give one of them.',
    exit: EXIT.usage,
  })
}
