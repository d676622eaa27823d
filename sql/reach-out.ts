/**
 * Statements that reach beyond the database they run in: other programs, files of the server, other servers, the cluster itself.
 * A recording may hold them; on a shadow they must not run.
 *
 * Recognised from the parse tree. The words a statement must hold to be one of them are looked for first, because the parser
 * costs more than everything else. What a function puts together as text while it runs cannot be seen here.
 */
import type { Node } from 'libpg-query'
import { parse } from './parse.js'
import { list, strings, unwrap, walk } from './tree-walk.js'

const UTILITY_WORDS = /\b(copy|load|alter|create|drop|import|grant|revoke|reassign)\b|\bdo\b(?!\s+(update|nothing)\b)/i

const FILES = /^(pg_read_(binary_)?file|pg_stat_file|pg_ls_(\w*dir|\w+)|pg_file_\w+|pg_logdir_ls|lo_(im|ex)port)$/
const CONTROL =
  /^pg_(terminate_backend|cancel_backend|reload_conf|rotate_logfile(_old)?|promote|switch_(wal|xlog)|create_restore_point|backup_st(art|op)|st(art|op)_backup|(wal|xlog)_replay_\w+)$/
const REPLICATION =
  /^pg_(create_(physical|logical)_replication_slot|copy_(physical|logical)_replication_slot|drop_replication_slot|replication_slot_advance|logical_slot_\w+|replication_origin_\w+|sync_replication_slots)$/
const DBLINK = /^dblink(_\w+)?$/

/** A superset of the names above, anywhere in a text; an identifier in Unicode escapes could be any of them. */
const NAME_WORDS =
  /\b(pg_(read|stat_file|ls|file|logdir|terminate|cancel|reload|rotate|promote|switch|create|backup|start|stop|wal|xlog|copy|drop|replication|logical_slot|sync)|lo_(im|ex)port|dblink)\w*|u&"/i

/** In a function's body, which may be of any language and build its statements as text. */
const BODY: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\bcopy\b[^;]*\b(from|to)\s+program\b/i, 'COPY … PROGRAM'],
  [/\bcopy\b[^;]*\b(from|to)\s+(e?'|''|\$\w*\$)/i, 'COPY with a file of the server'],
  [/\balter\s+system\b/i, 'ALTER SYSTEM'],
  [
    /\b(pg_read_(binary_)?file|pg_stat_file|pg_ls_\w*dir|pg_file_\w+|lo_(im|ex)port)\s*\(/i,
    'a function on files of the server',
  ],
  [
    /\bpg_(terminate_backend|cancel_backend|reload_conf|rotate_logfile|promote)\s*\(/i,
    'a function that steers the server',
  ],
]

/** Each of these changes the whole server, or opens a way to another one. */
const UTILITIES: Readonly<Record<string, string>> = {
  AlterSystemStmt: 'ALTER SYSTEM',
  LoadStmt: 'LOAD',
  CreatedbStmt: 'CREATE DATABASE',
  DropdbStmt: 'DROP DATABASE',
  AlterDatabaseStmt: 'ALTER DATABASE',
  AlterDatabaseSetStmt: 'ALTER DATABASE',
  AlterDatabaseRefreshCollStmt: 'ALTER DATABASE',
  CreateTableSpaceStmt: 'CREATE TABLESPACE',
  DropTableSpaceStmt: 'DROP TABLESPACE',
  AlterTableSpaceOptionsStmt: 'ALTER TABLESPACE',
  CreateRoleStmt: 'CREATE ROLE',
  AlterRoleStmt: 'ALTER ROLE',
  AlterRoleSetStmt: 'ALTER ROLE',
  DropRoleStmt: 'DROP ROLE',
  GrantRoleStmt: 'GRANT of a role',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  DropSubscriptionStmt: 'DROP SUBSCRIPTION',
  CreateFdwStmt: 'CREATE FOREIGN DATA WRAPPER',
  AlterFdwStmt: 'ALTER FOREIGN DATA WRAPPER',
  CreateForeignServerStmt: 'CREATE SERVER',
  AlterForeignServerStmt: 'ALTER SERVER',
  CreateForeignTableStmt: 'CREATE FOREIGN TABLE',
  ImportForeignSchemaStmt: 'IMPORT FOREIGN SCHEMA',
  CreateUserMappingStmt: 'CREATE USER MAPPING',
  AlterUserMappingStmt: 'ALTER USER MAPPING',
  CreatePLangStmt: 'CREATE LANGUAGE',
}

const SAFE_LANGUAGES = /^(sql|plpgsql|plperl|pltcl|plv8|pljs|plprql)$/i

/** Extensions that bring ways out. */
export const REACHING_EXTENSIONS =
  /^(dblink|postgres_fdw|file_fdw|\w+_fdw|http|pg_net|pg_cron|pg_curl|pg_background|pg_amqp|plsh|plperlu|plpython\d?u|pltclu|plluau|plr|pljavau|plproxy|aws_\w+|adminpack|pglogical)$/i

const TEXTS_MAX = 10_000
const known = new Map<string, string | null>()

/** What of this text must not run on a shadow, in words without any of its values; null: nothing. The parser must be loaded. */
export function reachesOut(sql: string): string | null {
  if (!UTILITY_WORDS.test(sql) && !NAME_WORDS.test(sql)) return null
  let found = known.get(sql)
  if (found === undefined) {
    found = judge(sql)
    if (known.size >= TEXTS_MAX) known.clear()
    known.set(sql, found)
  }
  return found
}

/** What a function's body (or any text that becomes SQL later) would do that must not happen on a shadow. */
export function bodyReachesOut(body: string): string | null {
  return BODY.find(([pattern]) => pattern.test(body))?.[1] ?? null
}

function judge(sql: string): string | null {
  const statements = parse(sql)
  // What this grammar refuses, a newer server may understand.
  if (statements === null) return bodyReachesOut(sql)
  let found: string | null = null
  walk(statements, ({ kind, body }) => {
    found ??= ofNode(kind, body)
    return found === null
  })
  return found
}

function ofNode(kind: string, body: Readonly<Record<string, unknown>>): string | null {
  const utility = UTILITIES[kind]
  if (utility !== undefined) return utility
  switch (kind) {
    case 'CopyStmt':
      if (body.is_program === true) return 'COPY … PROGRAM'
      return typeof body.filename === 'string' ? 'COPY with a file of the server' : null
    case 'FuncCall':
      return isOfItself(body) ? null : ofCall(strings(list(body, 'funcname')))
    case 'RenameStmt':
      return body.renameType === 'OBJECT_ROLE' || body.renameType === 'OBJECT_DATABASE' ? 'ALTER … RENAME' : null
    case 'CreateExtensionStmt': {
      const name = String(body.extname ?? '')
      return REACHING_EXTENSIONS.test(name) ? 'CREATE EXTENSION of one that leads out' : null
    }
    case 'CreateFunctionStmt':
    case 'DoStmt':
      return ofCode(list(body, kind === 'DoStmt' ? 'args' : 'options'))
    default:
      return null
  }
}

/** `pg_terminate_backend(pg_backend_pid())` ends nobody but itself. */
function isOfItself(call: Readonly<Record<string, unknown>>): boolean {
  const name = strings(list(call, 'funcname')).at(-1) ?? ''
  const [only, ...more] = list(call, 'args')
  const argument = unwrap(only)
  if (!/^pg_(terminate|cancel)_backend$/.test(name) || more.length > 0 || argument?.kind !== 'FuncCall') return false
  const inner = strings(list(argument.body, 'funcname'))
  return inner.at(-1) === 'pg_backend_pid' && (inner.length === 1 || inner[0] === 'pg_catalog')
}

function ofCall(names: readonly string[]): string | null {
  const name = names.at(-1) ?? ''
  if (DBLINK.test(name)) return 'a call of dblink'
  if (names.length > 1 && names[0] !== 'pg_catalog') return null
  if (FILES.test(name)) return 'a function on files of the server'
  if (CONTROL.test(name)) return 'a function that steers the server'
  return REPLICATION.test(name) ? 'a function on replication' : null
}

function ofCode(options: readonly unknown[]): string | null {
  let found: string | null = null
  for (const option of options) {
    const { defname, arg } = (unwrap(option)?.body ?? {}) as { defname?: string; arg?: Node }
    const texts = arg && 'List' in arg ? strings(arg.List.items ?? []) : strings(arg ? [arg] : [])
    if (defname === 'language' && !SAFE_LANGUAGES.test(texts[0] ?? '')) return 'code in an untrusted language'
    if (defname === 'as') for (const text of texts) found ??= bodyReachesOut(text)
  }
  return found
}
