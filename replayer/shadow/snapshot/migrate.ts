/**
 * The migration that turns a V1 copy into V2: a SQL file, a folder of them in order, or a command that knows the database
 * by its environment (`npx prisma migrate deploy`). Timed, because its length is one thing a rehearsal is for.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { connectionVariables, withClient } from '../connect.js'
import { forCopy, guarded, Keeper, type LeftOut, type Shut } from '../doors/keeper.js'
import { runScript, type ScriptStatement, splitScript } from '../script.js'
import { scriptFiles } from './schema.js'

const OUTPUT_CHARS_MAX = 256 * 1024

export type ScriptFile = {
  readonly file: string
  readonly statements: readonly ScriptStatement[]
  readonly leftOut: readonly LeftOut[]
}

export type Migration =
  | { readonly kind: 'scripts'; readonly path: string; readonly files: readonly ScriptFile[] }
  | { readonly kind: 'command'; readonly command: string }

export type MigrationResult = {
  readonly migration: string
  readonly elapsedMs: number
  /** Of a command: what it printed, cut at the front. Of scripts: the notices of the server. */
  readonly output: string
  /** Statements that a copy must not run, in words. */
  readonly leftOut: readonly string[]
}

/**
 * A path that exists is a script; what looks like a path must exist; anything else is a command for the shell. Scripts are read and
 * judged here, before anything is touched.
 */
export async function readMigration(text: string): Promise<Migration> {
  if (existsSync(text)) {
    const files: ScriptFile[] = []
    for (const file of scriptFiles(text))
      files.push({ file, ...forCopy(await splitScript(readFileSync(file, 'utf8'), file), file) })
    return { kind: 'scripts', path: text, files }
  }
  if (/\.sql$/i.test(text) || (/[\\/]/.test(text) && !/\s/.test(text)))
    throw new HarnessError({
      code: 'NO_MIGRATION',
      message: `there is no migration ${text}`,
      hint: 'Name a file of SQL, a folder of them, or a command in quotes.',
      exit: EXIT.usage,
    })
  return { kind: 'command', command: text }
}

export type MigrateOptions = {
  readonly signal?: AbortSignal | undefined
  /** Shuts what the migration opens. */
  readonly shut: Shut
}

export async function migrate(
  migration: Migration,
  url: string,
  { signal, shut }: MigrateOptions,
): Promise<MigrationResult> {
  const startedAtMs = performance.now()
  const output =
    migration.kind === 'scripts'
      ? await runScripts(migration.files, url, shut)
      : await runCommandOnCopy(migration.command, url, shut, signal)
  return {
    migration: migration.kind === 'scripts' ? migration.path : migration.command,
    elapsedMs: Math.round(performance.now() - startedAtMs),
    output,
    leftOut:
      migration.kind === 'scripts'
        ? migration.files.flatMap(({ file, leftOut }) =>
            leftOut.map(({ line, what }) => `${file} line ${line}: ${what}`),
          )
        : [],
  }
}

async function runScripts(files: readonly ScriptFile[], url: string, shut: Shut): Promise<string> {
  let output = ''
  for (const { file, statements } of files) {
    // A connection for each, as psql would have: a SET in one must not reach into the next.
    await withClient(url, async (client) => {
      client.on('notice', ({ message }) => {
        if (output.length < OUTPUT_CHARS_MAX) output += `${file}: ${message ?? ''}\n`
      })
      const keeper = new Keeper(client, shut)
      await runScript(keeper, statements, file)
      await keeper.end()
    })
  }
  return output
}

/** Its doors are shut when it is over; what would reach another server at once is refused meanwhile. */
export async function runCommandOnCopy(
  command: string,
  url: string,
  shut: Shut,
  signal?: AbortSignal,
): Promise<string> {
  const output = await guarded(url, () => runCommand(command, url, signal))
  await withClient(url, (client) => shut(client, false))
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
