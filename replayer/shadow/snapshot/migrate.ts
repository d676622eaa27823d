/**
 * The migration that turns a V1 copy into V2: a SQL file, a folder of them in order, or a command that knows the database
 * by its environment (`npx prisma migrate deploy`). Timed, because its length is one thing a rehearsal is for.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { connectionVariables, withClient } from '../connect.js'
import { runScript, splitScript } from '../script.js'
import { scriptFiles } from './schema.js'

const OUTPUT_CHARS_MAX = 256 * 1024

export type Migration =
  | { readonly kind: 'scripts'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string }

export type MigrationResult = {
  readonly migration: string
  readonly elapsedMs: number
  /** Of a command: what it printed, cut at the front. Of scripts: the notices of the server. */
  readonly output: string
}

/** A path that exists is a script; what looks like a path must exist; anything else is a command for the shell. */
export function readMigration(text: string): Migration {
  if (existsSync(text)) return { kind: 'scripts', path: text }
  if (/\.sql$/i.test(text) || (/[\\/]/.test(text) && !/\s/.test(text)))
    throw new HarnessError({
      code: 'NO_MIGRATION',
      message: `there is no migration ${text}`,
      hint: 'Name a file of SQL, a folder of them, or a command in quotes.',
      exit: EXIT.usage,
    })
  return { kind: 'command', command: text }
}

export async function migrate(migration: Migration, url: string, signal?: AbortSignal): Promise<MigrationResult> {
  const startedAtMs = performance.now()
  const output =
    migration.kind === 'scripts'
      ? await runScripts(migration.path, url)
      : await runCommand(migration.command, url, signal)
  const name = migration.kind === 'scripts' ? migration.path : migration.command
  return { migration: name, elapsedMs: Math.round(performance.now() - startedAtMs), output }
}

async function runScripts(path: string, url: string): Promise<string> {
  let output = ''
  for (const file of scriptFiles(path)) {
    const statements = await splitScript(readFileSync(file, 'utf8'), file)
    // A connection for each, as psql would have: a SET in one must not reach into the next.
    await withClient(url, async (client) => {
      client.on('notice', ({ message }) => {
        if (output.length < OUTPUT_CHARS_MAX) output += `${file}: ${message ?? ''}\n`
      })
      await runScript(client, statements, file)
    })
  }
  return output
}

function runCommand(command: string, url: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    // In a process group of its own, so that stopping it also stops what its shell started.
    const child = spawn(command, {
      shell: true,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DATABASE_URL: url, ...connectionVariables(url) },
    })
    const stop = () => process.kill(-child.pid!, 'SIGTERM')
    signal?.addEventListener('abort', stop)
    let output = ''
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', stop)
      if (code === 0) resolve(output)
      else
        reject(
          commandFailed(command, code === null ? `it was ended by ${killedBy}` : `it ended with code ${code}`, output),
        )
    })
  })
}

function commandFailed(command: string, why: string, output: string): HarnessError {
  const last = output.trim().split('\n').slice(-3).join(' / ')
  return new HarnessError({
    code: 'MIGRATION_FAILED',
    message: `the migration failed: ${command}`,
    detail: last ? `${why}; its last words: ${last}` : why,
    hint: 'It finds the database in DATABASE_URL and in PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.',
  })
}
