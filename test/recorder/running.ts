/** The recorder as operators run it: a program of its own, with a log, signals and limits of the system. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askControl, type ControlCommand } from '../../recorder/control.js'
import type { ProxyStatus } from '../../recorder/status.js'

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
export const environment = { ...process.env, PGREHEARSE_KEY: 'ab'.repeat(32) }

export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type Running = {
  /** Of the database, through the recorder. */
  readonly url: string
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly stderr: () => string
  ask(command: ControlCommand): Promise<ProxyStatus>
  status(): Promise<ProxyStatus>
}

type Place = {
  readonly folder: string
  /** Whoever ends the test ends these. */
  readonly children: ChildProcess[]
  readonly args?: readonly string[]
  /** The recording's path, `rec` without it. */
  readonly out?: string
  /** What it is started by: a shell, a namespace. It must become it, so that signals arrive. */
  readonly by?: readonly string[]
  readonly node?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** A recorder that listens already; its recording is `rec` in the folder. */
export async function startRecorder(upstream: string, place: Place): Promise<Running> {
  const { folder, children, args = [], out = 'rec', by = [], node = [], env = {} } = place
  const control = join(folder, 'rec.control')
  const record = [
    'record',
    'proxy',
    '--listen',
    '127.0.0.1:0',
    '--upstream',
    upstream,
    '--out',
    out,
    '--control',
    control,
    ...args,
  ]
  const [program, ...rest] = [...by, process.execPath, ...node, MAIN, ...record]
  const child = spawn(program!, rest, { cwd: folder, env: { ...environment, ...env } })
  children.push(child)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  const ended = new Promise<Ended>((resolve) => child.once('exit', (code) => resolve({ code, stdout, stderr })))
  const port = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (text) => {
      stderr += text
      const found = /recording 127\.0\.0\.1:(\d+)/.exec(stderr)
      if (found) resolve(found[1]!)
    })
    child.once('exit', () => reject(new Error(stderr)))
  })
  return {
    url: Object.assign(new URL(upstream), { port, hostname: '127.0.0.1' }).toString(),
    child,
    ended,
    stderr: () => stderr,
    ask: (command) => askControl(control, command),
    status: () => askControl(control, 'status'),
  }
}

/** May a user of this machine have a disk of their own, to fill it? */
export const OWN_MOUNTS = spawnSync('unshare', ['-rm', 'true']).status === 0

export const BALLAST = 'disk/ballast'

/** A recorder that writes `disk/rec`, on a disk that is mounted for it alone and holds some ballast already. */
export function startOnSmallDisk(
  upstream: string,
  place: Place,
  { size, ballastBytes }: { readonly size: string; readonly ballastBytes: number },
): Promise<Running> {
  const script = `mount -t tmpfs -o size=${size} none disk && head -c ${ballastBytes} /dev/zero > ${BALLAST}; exec "$@"`
  mkdirSync(join(place.folder, 'disk'))
  return startRecorder(upstream, { ...place, out: 'disk/rec', by: ['unshare', '-rm', 'sh', '-c', script, 'sh'] })
}

/** A file in the folder, as this recorder sees it. */
export const seenBy = ({ child }: Running, name: string) => join('/proc', String(child.pid), 'cwd', name)
