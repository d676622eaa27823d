/** Runs the built command line as a person or a script would: another process, its output and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export type Running = {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves when stderr has said this, with what it matched. */
  said(what: string | RegExp): Promise<readonly string[]>
}

export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  const waiting = new Set<() => void>()
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
    for (const look of waiting) look()
  })
  return {
    child,
    ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr }))),
    said: (what) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = typeof what === 'string' ? stderr.includes(what) && [what] : what.exec(stderr)
          if (found) resolve(found)
        }
        waiting.add(look)
        child.on('close', () => reject(new Error(`ended before it said "${what}": ${stderr}`)))
        look()
      }),
  }
}

export function run(...args: readonly string[]): Promise<Ended> {
  return start(args).ended
}

export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'pgr-test-'))
}
