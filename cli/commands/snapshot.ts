/**
 * `snapshot take` writes the masked starting state of a rehearsal; `snapshot restore` makes a golden of it, on a server of
 * the user's or on one of our own. `--embedded` keeps its server up until Ctrl-C; with `--data-dir` the data outlives it, and
 * the next restore into the same folder (V2 beside V1) finds it again.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { cloneShadow, dropShadow } from '../../replayer/shadow/clone.js'
import { databaseOf, describeUrl, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { allDoors, findDoors } from '../../replayer/shadow/doors/find.js'
import { unjudgedExtensions } from '../../replayer/shadow/doors/unjudged.js'
import { startServer } from '../../replayer/shadow/server.js'
import { readSnapshot, type SnapshotFacts } from '../../replayer/shadow/snapshot/format.js'
import { type RestoreResult, restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { parseSample } from '../../replayer/shadow/snapshot/sample.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import type { Cli, Progress } from '../cli.js'
import { chooseEmbedded } from '../embedded.js'
import { addMaskingOptions, type MaskingFlags, readMaskingOptions } from '../masking-options.js'
import { timeLeft } from '../units.js'

type TakeFlags = MaskingFlags & {
  readonly from: string
  readonly out: string
  readonly schema?: string
  readonly serverBin?: string
  readonly connections: string
  readonly force?: boolean
  readonly resume?: boolean
  readonly sampleTable: readonly string[]
}

type RestoreFlags = {
  readonly to?: string
  readonly embedded?: string | true
  readonly dataDir?: string
  readonly serverBin?: string
  readonly database?: string
  readonly migrate: readonly string[]
  readonly connections: string
}

type CloneFlags = { readonly as: string }

export function register(program: Command, cli: Cli): void {
  const snapshot = program.command('snapshot').description('take or restore the starting state of a rehearsal')
  const take = snapshot
    .command('take')
    .description('copy one moment of a database, masked, into a folder')
    .requiredOption('--from <url>', 'the database to copy; it is only read')
    .requiredOption('--out <folder>', 'the snapshot to make')
  addMaskingOptions(take)
    .option('--schema <path>', 'SQL file or folder that creates the schema; without it pg_dump is asked')
    .option('--server-bin <folder>', 'where to look for pg_dump before PATH')
    .option('--connections <n>', 'tables read at the same time', '4')
    .option('--force', 'replace an existing snapshot')
    .option(
      '--resume',
      'go on with the tables that an interrupted attempt has finished, where nothing has changed in them',
    )
    .option(
      '--sample-table <table=share>',
      'take a share of a big table, what its rows refer to, and of what refers to it only what still can: orders=10%; repeatable',
      collect,
      [],
    )
    .action(cli.action((_args, flags: TakeFlags) => runTake(flags, `pgrehearse ${program.version() ?? ''}`, cli)))
  snapshot
    .command('restore')
    .argument('<snapshot>', 'folder made by snapshot take')
    .description('create a database from a snapshot, and migrate it')
    .option('--to <url>', 'server and name of the database to create')
    .option(
      '--embedded [major]',
      'on a PostgreSQL of our own, up until Ctrl-C: of this version, or of production’s where the machine has it',
    )
    .option('--data-dir <folder>', 'with --embedded: keep its data here, or go on with what is here')
    .option('--server-bin <folder>', 'with --embedded: programs of another PostgreSQL')
    .option('--database <name>', 'name of the database to create (default: as in the URL, or as in production)')
    .option('--migrate <path>', 'SQL file, folder of them, or command; may be given several times', collect, [])
    .option('--connections <n>', 'tables loaded at the same time', '4')
    .action(cli.action((args, flags: RestoreFlags) => runRestore(resolve(cli.cwd, args[0]!), flags, cli)))
  snapshot
    .command('clone')
    .argument('<golden>', 'URL of a database made by snapshot restore')
    .requiredOption('--as <name>', 'name of the shadow to create on the same server')
    .description('copy a golden; the copy is a shadow, which one replay may dirty')
    .action(cli.action<CloneFlags>(([golden], flags) => runClone(golden!, flags.as, cli)))
  snapshot
    .command('drop')
    .argument('<url>', 'a shadow or a golden; never a database that pgrehearse did not make')
    .description('drop a shadow when its replay has been compared')
    .action(cli.action<object>(([url]) => runDrop(url!, cli)))
  snapshot
    .command('doors')
    .argument('<url>', 'a golden, a shadow, or any other database; it is only read')
    .description('list the ways from a database to the world, which a replay shuts in its shadow')
    .action(cli.action<object>(([url]) => runDoors(url!, cli)))
}

async function runDoors(url: string, cli: Cli): Promise<ExitCode> {
  const { doors, unjudged } = await withClient(url, async (client) => ({
    doors: allDoors(await findDoors(client)).map(({ kind, name, why, extension }) => ({ kind, name, why, extension })),
    unjudged: await unjudgedExtensions(client),
  }))
  cli.result({ doors, unjudged })
  for (const { kind, name, why } of doors) cli.print(`${kind}  ${name}: ${why}`)
  for (const name of unjudged) cli.print(`extension  ${name}: not known here, so not judged`)
  cli.note(`${doors.length} ways out of ${describeUrl(url)}; a replay shuts them in its shadow`)
  return EXIT.pass
}

async function runClone(golden: string, name: string, cli: Cli): Promise<ExitCode> {
  const from = describeUrl(golden)
  const url = await cloneShadow(golden, databaseOf(golden), name)
  cli.result({ database: name })
  cli.print(`${describeUrl(url)} is a shadow of ${from}: replay on it, then \`snapshot drop\` it`)
  return EXIT.pass
}

async function runDrop(url: string, cli: Cli): Promise<ExitCode> {
  const what = describeUrl(url)
  await dropShadow(url, databaseOf(url))
  cli.result({ dropped: databaseOf(url) })
  cli.print(`dropped ${what}`)
  return EXIT.pass
}

async function runTake(flags: TakeFlags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const connections = parseConnections(flags.connections)
  const samples = flags.sampleTable.map(parseSample)
  const out = resolve(cli.cwd, flags.out)
  const from = describeUrl(flags.from)
  const { policy, key } = readMaskingOptions(flags, cli)
  const progress = cli.progress(`snapshot of ${from}`)
  const startedAtMs = performance.now()
  const facts = await takeSnapshot({
    url: flags.from,
    out,
    masks: { policy, key },
    madeBy,
    schemaFile: flags.schema === undefined ? undefined : resolve(cli.cwd, flags.schema),
    serverBin: flags.serverBin === undefined ? undefined : resolve(cli.cwd, flags.serverBin),
    connections,
    force: flags.force,
    resume: flags.resume,
    samples,
    signal: cli.signal,
    onProgress: ({ table, bytes, bytesEstimated }) =>
      progress.update(
        bytes,
        bytesEstimated,
        `${table}, ${rate(bytes, startedAtMs)}${timeLeft(bytes, bytesEstimated, performance.now() - startedAtMs)}`,
      ),
  })
  progress.done(`${rowsOf(facts)} rows of ${facts.tables.length} tables in ${seconds(performance.now() - startedAtMs)}`)
  if (facts.server.systemIdentifier === '')
    cli.note('note: this user may not see the system identifier, so a replay cannot recognise this cluster by it')
  const rowsTaken = new Map(facts.tables.map(({ schema, name, rows }) => [`${schema}.${name}`, rows]))
  for (const { schema, name, share, rowsEstimated } of facts.sampled ?? []) {
    const why = share === null ? 'it refers to a sampled table' : `a sample of ${share * 100}%`
    cli.note(`note: ${rowsTaken.get(`${schema}.${name}`)} of about ${rowsEstimated} rows of ${schema}.${name} (${why})`)
  }
  for (const { what, why } of facts.notTaken) cli.note(`note: not taken: ${what} (${why})`)
  cli.print(`snapshot ${out}`)
  const { id, schema, tables, notTaken, sampled = [] } = facts
  const files = ['snapshot.json', schema.before.file, schema.after?.file, ...tables.map(({ file }) => file)]
  cli.result({
    snapshot: out,
    id,
    tables: tables.length,
    rows: rowsOf(facts),
    notTaken,
    sampled,
    files: files.filter(Boolean),
  })
  return EXIT.pass
}

async function runRestore(snapshot: string, flags: RestoreFlags, cli: Cli): Promise<ExitCode> {
  const connections = parseConnections(flags.connections)
  if ((flags.to === undefined) === (flags.embedded === undefined)) throw oneTarget()
  if (cli.checksOnly) return EXIT.pass
  const facts = readSnapshot(snapshot)
  const restore = (target: string) => {
    const progress = cli.progress(`restore into ${describeUrl(target)}`)
    return restoreSnapshot({
      snapshot,
      target,
      migrations: flags.migrate,
      connections,
      signal: cli.signal,
      onProgress: ({ step, what, done, total }) => progress.update(done, total, `${step}: ${what}`),
    }).then((result) => finish(result, progress, cli))
  }
  if (flags.to !== undefined) {
    const result = await restore(flags.database === undefined ? flags.to : withDatabase(flags.to, flags.database))
    cli.print(`golden ${describeUrl(result.url)}`)
    return EXIT.pass
  }
  const dataDir = flags.dataDir === undefined ? undefined : resolve(cli.cwd, flags.dataDir)
  const { binaries, note } = chooseEmbedded({
    embedded: flags.embedded ?? true,
    serverBin: flags.serverBin === undefined ? undefined : resolve(cli.cwd, flags.serverBin),
    dataDir,
    versionNum: facts.server.versionNum,
  })
  if (note !== null) cli.note(`note: ${note}`)
  const server = await startServer({
    ...(binaries === undefined ? {} : { binaries }),
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  try {
    const result = await restore(server.url(flags.database ?? facts.server.database))
    cli.print(`golden ${result.url}`)
    cli.note('the server is up until Ctrl-C')
    await untilAborted(cli.signal)
    return EXIT.pass
  } finally {
    await server.stop()
  }
}

function finish(result: RestoreResult, progress: Progress, cli: Cli): RestoreResult {
  progress.done(`${result.rows} rows of ${result.tables} tables in ${seconds(result.elapsedMs)}`)
  for (const { migration, elapsedMs, output } of result.migrations) {
    cli.note(`  migration ${migration}: ${seconds(elapsedMs)}`)
    if (output.trim() !== '') cli.note(output.trimEnd().replaceAll(/^/gm, '    '))
  }
  for (const note of result.notes) cli.note(`note: ${note}`)
  cli.result(result)
  return result
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value]
}

function parseConnections(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: `--connections cannot be "${text}"`,
    detail: 'it takes a number from 1 to 64',
    exit: EXIT.usage,
  })
}

function oneTarget(): HarnessError {
  return new HarnessError({
    code: 'RESTORE_WHERE',
    message: 'where to restore to is not clear',
    detail: 'exactly one of --to and --embedded is needed',
    hint: '--to URL names a server and a database to create; --embedded starts a server.',
    exit: EXIT.usage,
  })
}

const rowsOf = (facts: SnapshotFacts) => facts.tables.reduce((sum, { rows }) => sum + rows, 0)
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
const rate = (bytes: number, startedAtMs: number) =>
  `${(bytes / 1e6 / Math.max(0.001, (performance.now() - startedAtMs) / 1000)).toFixed(0)} MB/s`
