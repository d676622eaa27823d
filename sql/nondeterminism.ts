/**
 * Which parts of a statement's result may differ between two executions on equal data?
 *
 * Read from the parse tree alone: functions whose value is the moment, chance, a sequence or the session. What a column's
 * default or a trigger puts into a table is the catalog's to say; `chanceInText` reads its expressions.
 */
import { columnName } from './order-by.js'
import { list, strings, unwrap, walk } from './tree-walk.js'

/** Where a value that differs by itself comes from; `none`: it does not. */
export type Chance = 'none' | 'time' | 'random' | 'sequence' | 'session'

export type OutputItem = {
  /** `*` or `t.*`: stands for as many columns as the relation has. */
  readonly star: boolean
  readonly chance: Chance
  /** Columns the expression reads besides: then only a part of the value is chance. */
  readonly columns: readonly string[]
  /** An aggregate whose value depends on the order of its input, and no order is given. */
  readonly inputOrder: boolean
}

export type Nondeterminism = {
  readonly items: readonly OutputItem[]
  /** Names that subqueries and CTEs give to values of chance. */
  readonly names: ReadonlyMap<string, Chance>
  /** Chance decides which rows qualify. */
  readonly filter: Chance
  /** The whole result describes the server, not the data: EXPLAIN, statistics views, the system catalog. */
  readonly aboutServer: boolean
}

export const DETERMINISTIC: Nondeterminism = { items: [], names: new Map(), filter: 'none', aboutServer: false }

const FUNCTIONS: ReadonlyMap<string, Chance> = new Map<string, Chance>([
  ...names('time', 'now transaction_timestamp statement_timestamp clock_timestamp timeofday localtimestamp localtime'),
  ...names(
    'random',
    'random random_normal gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4',
  ),
  ...names('random', 'gen_random_bytes gen_salt array_shuffle array_sample'),
  ...names('sequence', 'nextval currval lastval'),
  ...names('session', 'pg_backend_pid txid_current txid_current_if_assigned txid_current_snapshot pg_current_xact_id'),
  ...names(
    'session',
    'pg_current_xact_id_if_assigned pg_current_snapshot pg_current_wal_lsn pg_current_wal_insert_lsn',
  ),
  ...names(
    'session',
    'pg_current_wal_flush_lsn pg_export_snapshot pg_my_temp_schema pg_postmaster_start_time pg_conf_load_time',
  ),
  ...names('session', 'inet_client_addr inet_client_port inet_server_addr inet_server_port version current_database'),
  ...names('session', 'pg_database_size pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size'),
])

const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])
const ORDER_SENSITIVE = new Set(['array_agg', 'string_agg', 'json_agg', 'jsonb_agg', 'xmlagg', 'json_object_agg'])
const SYSTEM_SCHEMAS = new Set(['pg_catalog', 'information_schema'])
/** Weakest first: a value with two sources is as unsure as the wilder one. */
const RANK: readonly Chance[] = ['none', 'sequence', 'time', 'session', 'random']

function names(chance: Chance, words: string): [string, Chance][] {
  return words.split(' ').map((word) => [word, chance])
}

export function chanceOfFunction(name: string): Chance {
  return FUNCTIONS.get(name) ?? 'none'
}

/** Chance in the text of a default or a function body: a look at words, so it may see too much, never too little. */
export function chanceInText(text: string): Chance {
  let found: Chance = 'none'
  for (const [word] of text.toLowerCase().matchAll(/[a-z_][a-z0-9_]*/g)) {
    const chance = /^current_(timestamp|date|time)$/.test(word) ? 'time' : chanceOfFunction(word)
    found = wilder(found, chance)
  }
  return found
}

export function wilder(a: Chance, b: Chance): Chance {
  return RANK.indexOf(a) >= RANK.indexOf(b) ? a : b
}

/** `statement` is a wrapped node; `ofFunction` knows the database's own functions by name. */
export function nondeterminism(
  statement: unknown,
  ofFunction: (name: string) => Chance = () => 'none',
): Nondeterminism {
  const node = unwrap(statement)
  if (node === null) return DETERMINISTIC
  if (node.kind === 'ExplainStmt') return { ...DETERMINISTIC, aboutServer: true }
  const known = (name: string): Chance => wilder(chanceOfFunction(name), ofFunction(name))
  const named = namedChances(statement, known)
  return {
    items: outputs(node.body).map((target) => item(unwrap(target)?.body.val, known, named)),
    names: named,
    filter: filterChance(node.body, known, named),
    aboutServer: readsSystemRelation(node.body),
  }
}

const FILTERS = new Set(['whereClause', 'havingClause', 'quals', 'limitCount', 'limitOffset'])

/** The output list: of a SELECT, of its leftmost branch in a UNION, or of RETURNING. */
function outputs(body: Readonly<Record<string, unknown>>): readonly unknown[] {
  const returning = body.returningClause as { exprs?: readonly unknown[] } | undefined
  if (returning?.exprs !== undefined) return returning.exprs
  if (body.query !== undefined) return outputs(unwrap(body.query)?.body ?? {})
  let select = body
  while (typeof select.larg === 'object' && select.larg !== null)
    select = select.larg as Readonly<Record<string, unknown>>
  return list(select, 'targetList')
}

function item(expression: unknown, known: (name: string) => Chance, named: ReadonlyMap<string, Chance>): OutputItem {
  const node = unwrap(expression)
  const star =
    node?.kind === 'ColumnRef' &&
    list(node.body, 'fields').some((f) => typeof f === 'object' && f !== null && 'A_Star' in f)
  const columns: string[] = []
  let inputOrder = false
  walk(expression, (inner) => {
    if (inner.kind === 'ColumnRef') columns.push(columnName({ ColumnRef: inner.body }))
    if (inner.kind === 'FuncCall' && inner.body.agg_order === undefined)
      inputOrder ||= ORDER_SENSITIVE.has(strings(list(inner.body, 'funcname')).at(-1) ?? '')
    return undefined
  })
  return {
    star,
    chance: chanceOf(expression, known, named),
    columns: columns.filter((name) => name !== ''),
    inputOrder,
  }
}

function chanceOf(tree: unknown, known: (name: string) => Chance, named: ReadonlyMap<string, Chance>): Chance {
  let found: Chance = 'none'
  walk(tree, ({ kind, body }) => {
    if (kind === 'FuncCall') {
      const name = strings(list(body, 'funcname')).at(-1) ?? ''
      found = wilder(found, name === 'age' && list(body, 'args').length === 1 ? 'time' : known(name))
    }
    if (kind === 'SQLValueFunction') found = wilder(found, chanceOfSqlValue(String(body.op)))
    if (kind === 'ColumnRef') {
      const name = columnName({ ColumnRef: body })
      found = wilder(found, SYSTEM_COLUMNS.has(name) ? 'session' : (named.get(name) ?? 'none'))
    }
    return undefined
  })
  return found
}

function chanceOfSqlValue(op: string): Chance {
  return /DATE|TIME/.test(op) ? 'time' : 'session'
}

/** What subqueries, CTEs and SELECT lists inside call a value of chance; two passes carry a name through one more level. */
function namedChances(tree: unknown, known: (name: string) => Chance): ReadonlyMap<string, Chance> {
  const named = new Map<string, Chance>()
  for (let pass = 0; pass < 2; pass += 1)
    walk(tree, ({ kind, body }) => {
      if (kind !== 'ResTarget' || typeof body.name !== 'string') return undefined
      const chance = chanceOf(body.val, known, named)
      if (chance !== 'none') named.set(body.name, wilder(named.get(body.name) ?? 'none', chance))
      return undefined
    })
  return named
}

/** Filters stand in wrapped and in bare nodes (branches of a UNION, ON CONFLICT), so every object is looked at. */
function filterChance(tree: unknown, known: (name: string) => Chance, named: ReadonlyMap<string, Chance>): Chance {
  if (typeof tree !== 'object' || tree === null) return 'none'
  let found: Chance = 'none'
  for (const [field, value] of Object.entries(tree)) {
    found = wilder(found, FILTERS.has(field) ? chanceOf(value, known, named) : filterChance(value, known, named))
  }
  return found
}

function readsSystemRelation(tree: unknown): boolean {
  let found = false
  walk(tree, ({ kind, body }) => {
    if (kind === 'RangeVar') {
      const schema = String(body.schemaname ?? '')
      found ||= SYSTEM_SCHEMAS.has(schema) || (schema === '' && String(body.relname ?? '').startsWith('pg_'))
    }
    return undefined
  })
  return found
}

/** Lays the output list over the columns that came: one `*` stretches; between two of them nothing is known. */
export function alignOutputs(items: readonly OutputItem[], columnCount: number): readonly (OutputItem | null)[] {
  const first = items.findIndex(({ star }) => star)
  if (first < 0) return Array.from({ length: columnCount }, (_, at) => items[at] ?? null)
  const last = items.findLastIndex(({ star }) => star)
  const tail = items.length - 1 - last
  return Array.from({ length: columnCount }, (_, at) => {
    if (at < first) return items[at] ?? null
    const fromEnd = columnCount - at
    return fromEnd <= tail ? (items[items.length - fromEnd] ?? null) : null
  })
}
