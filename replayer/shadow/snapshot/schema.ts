/**
 * The schema of a snapshot: from the user's pg_dump where there is one that is not older than the server, or from a file
 * the user gives (structure.sql, a folder of migrations). pg_dump splits it around the data, which loads faster and lets
 * constraints check what was loaded; a file of the user's is run whole before the data.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { EXIT, HarnessError } from '../../../base/errors.js'
import { connectionVariables } from '../connect.js'
import { isDoor, splitScript } from '../script.js'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024

export type SchemaSource =
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'pg_dump'; readonly program: string }

export type SchemaText = { readonly before: string; readonly after: string | null }

/** Decided before production is touched, so that a missing tool is said at once. */
export async function findSchemaSource(options: {
  readonly schemaFile?: string | undefined
  readonly serverBin?: string | undefined
  readonly path: string
  readonly serverVersionNum: number
}): Promise<SchemaSource> {
  if (options.schemaFile !== undefined) {
    if (existsSync(options.schemaFile)) return { from: 'file', path: options.schemaFile }
    throw new HarnessError({
      code: 'NO_SCHEMA_FILE',
      message: `there is no schema file ${options.schemaFile}`,
      hint: 'Name a file of SQL, or a folder of migrations.',
      exit: EXIT.usage,
    })
  }
  const serverMajor = Math.floor(options.serverVersionNum / 10000)
  const found: number[] = []
  for (const program of candidates(options.serverBin, options.path)) {
    const major = await majorOf(program)
    if (major === null) continue
    if (major >= serverMajor) return { from: 'pg_dump', program }
    found.push(major)
  }
  throw new HarnessError({
    code: 'NO_SCHEMA_SOURCE',
    message: 'cannot read the schema of the database',
    detail:
      found.length === 0
        ? 'there is no pg_dump on this machine'
        : `the server is PostgreSQL ${serverMajor} and pg_dump here is ${[...new Set(found)].join(', ')}: it refuses servers newer than itself`,
    hint: "Give the schema with --schema FILE (structure.sql, or the folder of migrations), or name a newer pg_dump's folder with --server-bin.",
    exit: EXIT.usage,
  })
}

export async function readSchema(source: SchemaSource, url: string, exportedSnapshot: string): Promise<SchemaText> {
  if (source.from === 'file') return { before: readScripts(source.path), after: null }
  const [before, after] = await Promise.all(
    (['pre-data', 'post-data'] as const).map((section) => dump(source.program, url, exportedSnapshot, section)),
  )
  return { before: before!, after: after! }
}

/** Files of a folder in the order migration tools mean: numbers count as numbers; what takes a change back is left out. */
export function scriptFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  const inOrder = new Intl.Collator('en', { numeric: true })
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() || /\.sql$/i.test(entry.name))
    .filter((entry) => !/(^|[._-])(down|undo|rollback)\.sql$|^U\d[\d._]*__/i.test(entry.name))
    .sort((a, b) => inOrder.compare(a.name, b.name))
    .flatMap((entry) => scriptFiles(join(path, entry.name)))
}

function readScripts(path: string): string {
  return scriptFiles(path)
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n;\n')
}

function candidates(serverBin: string | undefined, path: string): string[] {
  const versions = (folder: string) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, 'bin')) : []
  return [serverBin, ...path.split(delimiter), ...versions('/usr/lib/postgresql')]
    .filter((folder): folder is string => folder !== undefined && folder !== '')
    .map((folder) => join(folder, 'pg_dump'))
    .filter((program) => existsSync(program))
}

async function majorOf(program: string): Promise<number | null> {
  try {
    const { stdout } = await run(program, ['--version'])
    return Number(/(\d+)(?:\.|beta|rc|devel)/.exec(stdout)?.[1]) || null
  } catch {
    return null
  }
}

/** Owners, rights, comments and publications stay behind: a shadow needs none, and roles would have to exist. */
async function dump(
  program: string,
  url: string,
  snapshot: string,
  section: 'pre-data' | 'post-data',
): Promise<string> {
  const leaveOut = [
    'owner',
    'privileges',
    'comments',
    'security-labels',
    'publications',
    'subscriptions',
    'tablespaces',
  ]
  const flags = [
    '--schema-only',
    `--section=${section}`,
    `--snapshot=${snapshot}`,
    '--encoding=UTF8',
    '--lock-wait-timeout=10s',
  ]
  try {
    const { stdout } = await run(program, [...flags, ...leaveOut.map((what) => `--no-${what}`)], {
      env: { ...process.env, ...connectionVariables(url), LC_ALL: 'C' },
      maxBuffer: OUTPUT_BYTES_MAX,
    })
    const statements = await splitScript(stdout, 'the output of pg_dump')
    return statements
      .filter((statement) => !isDoor(statement))
      .map(({ sql }) => `${sql};\n`)
      .join('\n')
  } catch (cause) {
    if (cause instanceof HarnessError) throw cause
    const { stderr, message } = cause as { stderr?: string; message: string }
    throw new HarnessError({
      code: 'PG_DUMP_FAILED',
      message: 'pg_dump could not read the schema',
      detail: (stderr?.trim().split('\n')[0] ?? message.split('\n')[0]) || 'no reason given',
      hint: 'Give the schema with --schema FILE instead, or a user that may read it.',
      cause,
    })
  }
}
