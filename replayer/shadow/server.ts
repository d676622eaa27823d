/**
 * A PostgreSQL server of our own: found in the npm package (or where the caller says), initialised in a folder,
 * started on a free port, stopped with us. Nothing is installed on the machine.
 *
 * A data folder that is kept also keeps the password of its superuser, in a file beside the data. The file doubles as a
 * sign that the cluster is ours: a folder without it is never started, it could be somebody's production.
 *
 * Its data is thrown away or made again from a snapshot, so durability against a failing machine is switched off.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { EXIT, HarnessError } from '../../base/errors.js'
import { atExit } from './at-exit.js'
import { embeddedBinaries, namedBinaries, usableBinaries } from './binaries.js'
import { canReach, type Identity, serverIdentity } from './identity.js'
import { PortTaken, startPostmaster } from './postmaster.js'

export { embeddedBinaries } from './binaries.js'

const run = promisify(execFile)

const USER = 'postgres'
const PASSWORD_FILE = 'pgrehearse.password'
/** `/.s.PGSQL.65535` must still fit: the system's limit for a socket's path is 107 bytes. */
const SOCKET_DIR_BYTES_MAX = 92
const PORT_ATTEMPTS = 5

export type ServerOptions = {
  /** Folder with initdb and postgres; without it the embedded server is used. */
  readonly binaries?: string
  /** Kept when it exists already; a temporary one, removed at stop, when not given. */
  readonly dataDir?: string
  readonly settings?: Readonly<Record<string, string>>
  /** Asked again when somebody else took the port in between. */
  readonly findPort?: () => Promise<number>
}

export type OwnedServer = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly pid: number
  readonly dataDir: string
  /** Empty where no folder is short enough for a socket. */
  readonly socketDir: string
  url(database?: string): string
  stop(): Promise<void>
}

export async function startServer(options: ServerOptions = {}): Promise<OwnedServer> {
  const kept = options.dataDir === undefined ? undefined : resolve(options.dataDir)
  const exists = kept !== undefined && isCluster(kept)
  const identity = await serverIdentity(exists ? kept : undefined)
  const binaries = options.binaries
    ? namedBinaries(resolve(options.binaries), identity)
    : usableBinaries(embeddedBinaries(), identity)
  const home = privateFolder(identity)
  const dataDir = kept ?? join(home, 'data')
  let socketDir = ''
  const removeFolders = () => {
    for (const folder of [home, socketDir])
      if (folder !== '') rmSync(folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 })
  }
  const forget = atExit(removeFolders)
  const cleanUp = () => {
    forget()
    removeFolders()
  }
  try {
    if (!exists) await initialise(binaries, dataDir, join(home, 'password'), identity)
    const password = readFileSync(join(dataDir, PASSWORD_FILE), 'utf8')
    socketDir = socketFolder(home, identity)
    const { port, postmaster } = await onFreePort(options.findPort ?? freePort, (port) =>
      startPostmaster(
        join(binaries, 'postgres'),
        commandLine(dataDir, port, socketDir, options.settings),
        identity,
        kept === undefined ? 'SIGQUIT' : 'SIGINT',
      ),
    )
    return {
      host: '127.0.0.1',
      port,
      user: USER,
      password,
      pid: postmaster.pid,
      dataDir,
      socketDir,
      url: (database = 'postgres') =>
        `postgres://${USER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
      async stop() {
        await postmaster.stop()
        cleanUp()
      },
    }
  } catch (error) {
    cleanUp()
    throw error
  }
}

/** true: a cluster of ours; false: nothing there yet. Anything else is refused. */
function isCluster(dataDir: string): boolean {
  if (existsSync(join(dataDir, PASSWORD_FILE))) return true
  if (!existsSync(join(dataDir, 'PG_VERSION'))) return false
  throw new HarnessError({
    code: 'NOT_OUR_DATA_FOLDER',
    message: `will not start the server in ${dataDir}`,
    detail: 'it holds a PostgreSQL cluster that pgrehearse did not make',
    hint: 'Name another folder; to use that cluster, start it yourself and give its URL.',
    exit: EXIT.usage,
  })
}

async function initialise(
  binaries: string,
  dataDir: string,
  passwordFile: string,
  identity: Identity | undefined,
): Promise<void> {
  mkdirSync(dirname(dataDir), { recursive: true })
  if (!existsSync(dataDir)) mkdirSync(dataDir, { mode: 0o700 })
  // Only an empty folder changes its owner here: a full one is somebody's.
  if (identity && readdirSync(dataDir).length === 0) chownSync(dataDir, identity.uid, identity.gid)
  if (!canReach(dataDir, identity))
    throw new HarnessError({
      code: 'DATA_FOLDER_OUT_OF_REACH',
      message: `cannot keep a server's data in ${dataDir}`,
      detail: `as root the server runs as uid ${identity!.uid}, which may not enter that folder`,
      hint: 'Name a new folder in a place that other users can enter, or run pgrehearse as a normal user.',
    })
  const password = randomBytes(18).toString('base64url')
  writeFileSync(passwordFile, password, { mode: 0o600, flag: 'wx' })
  try {
    if (identity) chownSync(passwordFile, identity.uid, identity.gid)
    const encoding = ['-E', 'UTF8', '--locale=C']
    await run(
      join(binaries, 'initdb'),
      ['-D', dataDir, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, ...encoding, '-N'],
      { ...identity, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } },
    )
    writeFileSync(join(dataDir, PASSWORD_FILE), password, { mode: 0o600 })
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string }
    throw new HarnessError({
      code: 'INITDB_FAILED',
      message: `cannot make a PostgreSQL cluster in ${dataDir}`,
      detail:
        (stderr || message)
          .trim()
          .split('\n')
          .find((line) => line.includes('error')) ?? message,
      hint: 'The folder must be empty and on a disk with room (about 40 MB).',
      cause,
    })
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

function commandLine(
  dataDir: string,
  port: number,
  socketDir: string,
  extra: Readonly<Record<string, string>> = {},
): readonly string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketDir,
    max_connections: '200',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    ...extra,
    // We read its first words.
    lc_messages: 'C',
    logging_collector: 'off',
    log_destination: 'stderr',
  }
  return ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

async function onFreePort<T>(
  findPort: () => Promise<number>,
  start: (port: number) => Promise<T>,
): Promise<{ port: number; postmaster: T }> {
  for (let attempt = 1; ; attempt++) {
    const port = await findPort()
    try {
      return { port, postmaster: await start(port) }
    } catch (error) {
      if (!(error instanceof PortTaken)) throw error
      if (attempt === PORT_ATTEMPTS)
        throw new HarnessError({
          code: 'PORT_IN_USE',
          message: `cannot listen on 127.0.0.1:${port}`,
          detail: `the port is taken; so were the ${PORT_ATTEMPTS - 1} tried before it`,
          hint: 'Look for what takes so many ports, then try again.',
        })
    }
  }
}

/** As root, TMPDIR may lie in a private folder of root's. */
function privateFolder(identity: Identity | undefined): string {
  const base = [tmpdir(), '/var/tmp', '/tmp'].find((folder) => existsSync(folder) && canReach(folder, identity))
  return ownFolder(base ?? tmpdir(), identity)
}

/** Where TMPDIR is too deep for a socket, it goes to /tmp; without that, the server is reached by TCP only. */
function socketFolder(home: string, identity: Identity | undefined): string {
  if (process.platform === 'win32') return ''
  if (Buffer.byteLength(home) <= SOCKET_DIR_BYTES_MAX) return home
  try {
    return ownFolder('/tmp', identity)
  } catch {
    return ''
  }
}

function ownFolder(base: string, identity: Identity | undefined): string {
  const folder = mkdtempSync(join(base, 'pgr-'))
  chmodSync(folder, 0o700)
  if (identity) chownSync(folder, identity.uid, identity.gid)
  return folder
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
