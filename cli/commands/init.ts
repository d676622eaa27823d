/** `pgrehearse init`: a first pgrehearse.yaml, with what the two servers say about themselves in its comments. */
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { withClient } from '../../replayer/shadow/connect.js'
import type { Cli } from '../cli.js'
import { type ServerWords, starterFile } from '../run/starter-file.js'

type Flags = { readonly from: string; readonly to: string; readonly out: string; readonly force?: boolean }

export function register(program: Command, cli: Cli): void {
  program
    .command('init')
    .description('write a commented pgrehearse.yaml to start from')
    .requiredOption('--from <url>', 'V1: production, or a copy of it; it is only read')
    .requiredOption(
      '--to <url>',
      'V2: a server for goldens and shadows; a database there that has V2’s schema says more',
    )
    .option('--out <file>', 'the file to write', 'pgrehearse.yaml')
    .option('--force', 'replace an existing file')
    .action(cli.action<Flags>((_, flags) => init(flags, cli)))
}

async function init(flags: Flags, cli: Cli): Promise<ExitCode> {
  const path = resolve(cli.cwd, flags.out)
  if (existsSync(path) && flags.force !== true) throw exists(flags.out)
  const [v1, v2] = [await look(flags.from), await look(flags.to)]
  const sameCluster = v1.cluster !== null && v1.cluster === v2.cluster
  writeFileSync(path, starterFile(v1.words, v2.words, sameCluster), { flag: flags.force === true ? 'w' : 'wx' })
  cli.print(`wrote ${flags.out}: fill in the migration, then \`pgrehearse run --dry-run\` says what would be done`)
  if (sameCluster)
    cli.note('note: both URLs lead to the same server, which is never replayed on; the file says `embedded`')
  cli.result({ files: [path], sameCluster })
  return EXIT.pass
}

async function look(url: string): Promise<{ words: ServerWords; cluster: string | null }> {
  return withClient(url, async (client) => {
    await client.query('BEGIN READ ONLY')
    const { rows } = await client.query<{ version: string; num: number; database: string; may: boolean }>(
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS num,
              current_database() AS database, has_function_privilege('pg_catalog.pg_control_system()', 'execute') AS may`,
    )
    const { version, num, database, may } = rows[0]!
    const tables = await client.query<{ name: string }>(
      `SELECT CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS name
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrehearse')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1`,
    )
    const cluster = may
      ? await client.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()')
      : null
    return {
      words: {
        url: withoutPassword(url),
        version: `PostgreSQL ${version}`,
        major: Math.floor(num / 10_000),
        database,
        tables: tables.rows.map(({ name }) => name),
      },
      cluster: cluster?.rows[0]?.id ?? null,
    }
  })
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  url.password = ''
  url.searchParams.delete('password')
  return url.href
}

function exists(name: string): HarnessError {
  return new HarnessError({
    code: 'TARGET_EXISTS',
    message: `cannot write ${name}`,
    detail: 'it exists.',
    hint: 'Choose another name with --out, or replace it with --force.',
    exit: EXIT.usage,
  })
}
