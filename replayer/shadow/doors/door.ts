/**
 * A door: a way from a database to the world. What kinds there are, and which functions of which extensions are ways out.
 */

export type DoorKind =
  /** A function that talks to another server, a program or a file. */
  | 'function'
  /** A table whose rows live elsewhere. */
  | 'foreign table'
  /** An address, and the logins for it. */
  | 'foreign server'
  | 'subscription'
  | 'replication slot'
  | 'publication'
  | 'job'
  | 'event trigger'

/** As found, before anything is done about it. */
export type Door = {
  readonly kind: DoorKind
  /** As SQL writes it, with what it needs to be told from others of its name. */
  readonly name: string
  /** Why it is one, for people. */
  readonly why: string
  /** The extension it belongs to; null: none. */
  readonly extension: string | null
}

/** What was done about a door. */
export type DoorState =
  /** Answers as if all had gone well, does nothing, and is counted. */
  | 'stub'
  /** An empty table of this database stands in its place. */
  | 'local table'
  | 'removed'
  /** Leads nowhere here: nobody listens at its other end, or all it runs is shut. */
  | 'idle'
  /** The user asked for it to stay. */
  | 'left open'

/** Functions by which an extension acts on the world; its other functions only compute. `.`: all of them. */
export const WAYS_OUT: Readonly<Record<string, RegExp>> = {
  dblink: /^dblink(?!_(build_sql|get_pkey|fdw_validator|current_query))/,
  http: /^(http|http_reset_curlopt)$/,
  pg_net: /^(http_(get|post|delete|collect_response)|worker_restart|wake|wait_until_running)$/,
  pg_cron: /^(schedule|schedule_in_database|alter_job)$/,
  pg_curl: /^curl_easy_perform$/,
  pg_background: /./,
  pg_amqp: /^(publish|autonomous_publish)$/,
  amqp: /^(publish|autonomous_publish)$/,
  aws_s3: /./,
  aws_lambda: /./,
  adminpack: /./,
  pglogical: /./,
}

/** What a stub answers where the neutral value of its type would mislead the caller. */
export const STUB_ANSWERS: Readonly<Record<string, string>> = {
  'dblink.dblink_send_query': '1',
  'dblink.dblink_is_busy': '0',
  'dblink.dblink_error_message': `'OK'`,
  'dblink.dblink_get_notify': 'NULL',
}

/** An event trigger of ours, for as long as a migration's command runs: see ./keeper.ts. */
export const GUARD = 'pgrehearse_no_way_out'
