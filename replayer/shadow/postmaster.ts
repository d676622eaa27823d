/**
 * The process of a server of ours: started, awaited, stopped, and never left behind.
 *
 * It runs in a session of its own, so that Ctrl-C in a terminal reaches us alone and we stop things in order. Where Linux
 * offers it, the kernel stops the server when we die without a word (`setpriv --pdeathsig`).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { HarnessError } from '../../base/errors.js'
import { atExit } from './at-exit.js'
import type { Identity } from './identity.js'

const run = promisify(execFile)

const READY = /ready to accept (?:read-only )?connections/
const START_LIMIT_MS = 60_000
/** A fast shutdown writes a checkpoint; a server that needs longer is told to stop at once, and recovers when next started. */
const STOP_LIMIT_MS = 30_000

/** How it ends: SIGINT lets it write what it holds, SIGQUIT is for data that nobody will read again. */
export type StopSignal = 'SIGINT' | 'SIGQUIT'

export type Postmaster = {
  readonly pid: number
  stop(): Promise<void>
}

export class PortTaken extends Error {}

export async function startPostmaster(
  program: string,
  options: readonly string[],
  identity: Identity | undefined,
  stopSignal: StopSignal,
): Promise<Postmaster> {
  const leash = (await canLeash()) ? ['setpriv', '--pdeathsig', stopSignal.slice(3), '--'] : []
  const [command, ...rest] = [...leash, program, ...options]
  const child = spawn(command!, rest, {
    ...identity,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const forget = atExit(() => child.kill(stopSignal))
  void gone.then(forget)
  await ready(child)
  return {
    pid: child.pid!,
    async stop() {
      child.kill(stopSignal)
      const impatience = setTimeout(() => child.kill('SIGQUIT'), STOP_LIMIT_MS)
      await gone
      clearTimeout(impatience)
    },
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const limit = setTimeout(() => {
      child.kill('SIGKILL')
      reject(refusal(`it was not ready within ${START_LIMIT_MS / 1000} s`))
    }, START_LIMIT_MS)
    const settle = (outcome: () => void) => {
      clearTimeout(limit)
      outcome()
    }
    child.stderr!.on('data', (chunk: Buffer) => {
      // Only the beginning is of interest, but the pipe must be drained for as long as the server lives.
      if (log.length < 16_384) log += chunk.toString('utf8')
      if (READY.test(log)) settle(resolve)
    })
    child.once('error', (cause) => settle(() => reject(refusal(cause.message, cause))))
    child.once('close', (code) =>
      settle(() => {
        if (/could not bind|could not create any TCP\/IP sockets/.test(log)) reject(new PortTaken())
        else reject(refusal(`postgres ended with code ${code}: ${reason(log)}`))
      }),
    )
  })
}

/** The line that says why; a server's last words are often only that it is shutting down. */
function reason(log: string): string {
  const lines = log.trim().split('\n')
  return (lines.find((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? '').trim()
}

function refusal(detail: string, cause?: unknown): HarnessError {
  const inUse = detail.includes('postmaster.pid')
  return new HarnessError({
    code: inUse ? 'DATA_FOLDER_IN_USE' : 'SERVER_DID_NOT_START',
    message: 'a PostgreSQL of our own did not start',
    detail,
    hint: inUse
      ? 'Another server uses this data folder: stop it, or name another folder.'
      : 'Look at the reason; a full disk or too little shared memory are the usual ones.',
    cause,
  })
}

let leash: Promise<boolean> | undefined

/** Not every setpriv knows the option (busybox does not), so it is tried once. */
function canLeash(): Promise<boolean> {
  leash ??=
    process.platform === 'linux'
      ? run('setpriv', ['--pdeathsig', 'INT', '--', 'true']).then(
          () => true,
          () => false,
        )
      : Promise.resolve(false)
  return leash
}
