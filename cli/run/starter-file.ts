/**
 * The text of a first pgrehearse.yaml, commented, from what the two servers say about themselves. Never a password: URLs are written
 * without, and PGPASSWORD, ~/.pgpass or `${NAME}` bring it.
 */
export type ServerWords = {
  /** Without its password. */
  readonly url: string
  readonly version: string
  readonly major: number
  readonly database: string
  readonly tables: readonly string[]
}

const TABLES_NAMED_MAX = 8

/** `v1` is production; `v2` is where goldens and shadows may be made, and may already have V2's schema. */
export function starterFile(v1: ServerWords, v2: ServerWords, sameCluster: boolean): string {
  const missing = v2.tables.length === 0 ? [] : v1.tables.filter((name) => !v2.tables.includes(name))
  return [
    '# What `pgrehearse run` rehearses. Paths start from the folder of this file; docs/run.md lists every setting.',
    '#',
    `# V1: ${v1.database}, ${v1.version}, ${counted(v1.tables.length)}`,
    `# V2: ${v2.database}, ${v2.version}${v2.tables.length === 0 ? ', still empty' : `, ${counted(v2.tables.length)}`}`,
    '',
    '# 1. Beside production, once: a policy that says what is personal, a masked snapshot, and an hour of traffic.',
    `#      pgrehearse policy suggest --from ${shell(v1.url)} > policy.yaml`,
    `#      pgrehearse snapshot take --from ${shell(v1.url)} --out snapshot --policy policy.yaml`,
    `#      pgrehearse record proxy --listen 127.0.0.1:6432 --upstream ${shell(v1.url)} --out recording --policy policy.yaml`,
    'snapshot: snapshot',
    'recording: recording',
    '',
    '# Results: runs, diff, report. What is still right from the last time is not done again.',
    'out: rehearsal',
    '',
    '# 2. Where goldens and shadows are made: a server whose user may create databases, and never production’s.',
    `#    "embedded" starts one of our own, whose data stays under "out". \${NAME} is read from the environment.`,
    ...(sameCluster
      ? ['#    The URL given for V2 leads to the server of V1, which is never replayed on.', 'server: embedded']
      : [`server: ${JSON.stringify(v2.url)}`, '# server: embedded']),
    ...(v1.major === v2.major || sameCluster
      ? []
      : [
          '#    V1 runs another major version. To compare the two engines as well, name a server of each:',
          '# v1:',
          '#   server: postgres://…',
        ]),
    '',
    '# 3. How V1 becomes V2: SQL files, folders of them in order, or commands (they find the database in DATABASE_URL).',
    'v2:',
    '  migrate:',
    '    - migrations',
    ...(missing.length > 0
      ? [
          `  # V2 does not have ${named(missing)}. A mapping says what they became:`,
          `  #   pgrehearse rewrite suggest --from ${shell(v1.url)} --to ${shell(v2.url)} > mapping.yaml`,
          '  mapping: mapping.yaml',
        ]
      : [
          '  # What V1’s statements read on V2, where its tables have other names or shapes:',
          '  # mapping: mapping.yaml',
        ]),
    '',
    '# V1 is replayed twice, to learn what differs by itself.',
    'noise: true',
    '',
    '# 4. Options of the commands, by their own names: --max-rate is max_rate. `baseline` and `candidate` change `replay` for one side.',
    'replay:',
    '  speed: 1          # max: in order, without waiting for time; latencies are then not those of production',
    '# compare:',
    '#   ignore: [orders.updated_at]',
    '# verify: false     # tables are not compared after the replays',
    'report:',
    '  html: rehearsal/report.html',
    '  junit: rehearsal/junit.xml',
    '',
    '# 5. What the candidate has to satisfy; without a file the cautious defaults of docs/gate.md hold.',
    '# gate: gate.yaml',
    '',
  ].join('\n')
}

function counted(tables: number): string {
  return tables === 1 ? '1 table' : `${tables} tables`
}

/** In a comment of one line, whatever a name holds. */
function named(names: readonly string[]): string {
  const shown = names.slice(0, TABLES_NAMED_MAX).map((name) => name.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?'))
  const more = names.length - shown.length
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function shell(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?')
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(line) ? line : `'${line.replaceAll("'", `'\\''`)}'`
}
