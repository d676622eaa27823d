/**
 * What kind of statement a text is, and which tables it names: what a person can say about a statement without the catalog. For
 * choosing statements, not for ordering them (that is ./touch-statement.ts, which also knows what hangs on a table).
 */
import type { Node } from 'libpg-query'
import { parse } from './parse.js'
import { list, unwrap, walk } from './tree-walk.js'

export const STATEMENT_CLASSES = [
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'copy',
  'truncate',
  'ddl',
  'call',
  'other',
] as const

export type StatementClass = (typeof STATEMENT_CLASSES)[number]

export type Nature = {
  /** `data`: it reads or changes something. `transaction` and `session` only steer one. `nothing`: an empty text. */
  readonly role: 'data' | 'transaction' | 'session' | 'nothing'
  readonly classes: readonly StatementClass[]
  readonly writes: boolean
  /** As they are named in the text: `orders`, `shop.orders`. */
  readonly tables: readonly string[]
  /** It leaves something behind in its session: a setting, a prepared statement, a temporary table. */
  readonly leavesState: boolean
  /** Temporary tables that it makes. */
  readonly temporary: readonly string[]
  readonly cursor: { readonly name: string; readonly declares: boolean } | null
  /** SQL-level PREPARE and EXECUTE. */
  readonly prepares: { readonly name: string; readonly nature: Nature } | null
  readonly executes: string | null
}

const EMPTY: Nature = {
  role: 'nothing',
  classes: [],
  writes: false,
  tables: [],
  leavesState: false,
  temporary: [],
  cursor: null,
  prepares: null,
  executes: null,
}

/** Call loadParser() once before. A text that PostgreSQL's grammar refuses is `other`. */
export function natureOf(sql: string): Nature {
  if (/^[\s;]*$/.test(sql)) return EMPTY
  const statements = parse(sql)
  if (statements === null) return { ...EMPTY, role: 'data', classes: ['other'] }
  return statements.flatMap(({ stmt }) => (stmt ? [natureOfNode(stmt)] : [])).reduce(together, EMPTY)
}

const ROLES = ['nothing', 'transaction', 'session', 'data'] as const

function together(a: Nature, b: Nature): Nature {
  if (a === EMPTY) return b
  return {
    role: ROLES[Math.max(ROLES.indexOf(a.role), ROLES.indexOf(b.role))]!,
    classes: [...new Set([...a.classes, ...b.classes])],
    writes: a.writes || b.writes,
    tables: [...new Set([...a.tables, ...b.tables])],
    leavesState: a.leavesState || b.leavesState,
    temporary: [...a.temporary, ...b.temporary],
    cursor: b.cursor ?? a.cursor,
    prepares: b.prepares ?? a.prepares,
    executes: b.executes ?? a.executes,
  }
}

const CLASS_OF: Readonly<Record<string, StatementClass>> = {
  SelectStmt: 'select',
  DeclareCursorStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
  CopyStmt: 'copy',
  TruncateStmt: 'truncate',
  CallStmt: 'call',
  DoStmt: 'call',
}

/** Neither data of a class of its own nor a change of the schema. */
const OTHER =
  /^(Explain|Vacuum|Transaction|Lock|Notify|CheckPoint|VariableShow|Fetch|ClosePortal|Execute|Discard|Reassign|Constraints)/

const SESSION = /^(VariableSet|Prepare|Deallocate|Discard|Listen|Unlisten|Load)Stmt$/
const CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

function natureOfNode(node: Node): Nature {
  const { kind, body } = unwrap(node) ?? { kind: '', body: {} }
  if (isTransaction(kind, body)) return { ...EMPTY, role: 'transaction' }
  if (kind === 'PrepareStmt') {
    const nature = natureOfNode(body.query as Node)
    return { ...EMPTY, role: 'session', leavesState: true, prepares: { name: nameIn(body, 'name'), nature } }
  }
  if (SESSION.test(kind)) return { ...EMPTY, role: 'session', leavesState: true }
  const temporary = temporaryOf(kind, body)
  const found = look(node)
  return {
    ...EMPTY,
    role: 'data',
    classes: [classOf(kind, body)],
    writes: found.changes || writes(kind, body),
    tables: found.tables,
    leavesState: temporary.length > 0 || found.setsConfig,
    temporary,
    cursor: cursorOf(kind, body),
    executes: kind === 'ExecuteStmt' ? nameIn(body, 'name') : null,
  }
}

type Body = Readonly<Record<string, unknown>>

function isTransaction(kind: string, body: Body): boolean {
  // What was prepared becomes visible: that is a change of its own, perhaps in another session.
  if (kind === 'TransactionStmt') return !/_PREPARED$/.test(String(body.kind))
  if (kind === 'ConstraintsSetStmt') return true
  return kind === 'VariableSetStmt' && body.kind === 'VAR_SET_MULTI' && body.name === 'TRANSACTION'
}

function classOf(kind: string, body: Body): StatementClass {
  if (kind === 'SelectStmt' && body.intoClause !== undefined) return 'ddl'
  return CLASS_OF[kind] ?? (OTHER.test(kind) ? 'other' : 'ddl')
}

function writes(kind: string, body: Body): boolean {
  if (kind === 'CopyStmt') return body.is_from === true
  if (kind === 'TransactionStmt') return true
  return classOf(kind, body) === 'ddl' || kind === 'TruncateStmt'
}

function cursorOf(kind: string, body: Body): Nature['cursor'] {
  if (kind === 'DeclareCursorStmt') return { name: nameIn(body, 'portalname'), declares: true }
  if (kind !== 'FetchStmt' && kind !== 'ClosePortalStmt') return null
  return { name: nameIn(body, 'portalname'), declares: false }
}

function temporaryOf(kind: string, body: Body): string[] {
  const into = (kind === 'SelectStmt' ? body.intoClause : body.into) as Body | undefined
  const relation = (kind === 'CreateStmt' ? body.relation : kind === 'ViewStmt' ? body.view : into?.rel) as
    | Body
    | undefined
  return relation?.relpersistence === 't' ? [nameIn(relation, 'relname')] : []
}

type Found = { tables: string[]; changes: boolean; setsConfig: boolean }

/** Tables named anywhere in it, except those that WITH defines there. */
function look(node: Node): Found {
  const tables = new Set<string>()
  const defined = new Set<string>()
  let changes = false
  let setsConfig = false
  walk(node, ({ kind, body }) => {
    if (CHANGES.has(kind)) changes = true
    if (kind === 'CommonTableExpr') defined.add(nameIn(body, 'ctename'))
    if (kind === 'FuncCall') {
      const name = unwrap(list(body, 'funcname').at(-1))
      if (name?.body.sval === 'set_config') setsConfig = true
    }
    return undefined
  })
  eachRelation(node, (schema, name) => {
    if (schema !== '' || !defined.has(name)) tables.add(schema === '' ? name : `${schema}.${name}`)
  })
  return { tables: [...tables], changes, setsConfig }
}

/** Where a node's kind cannot vary, libpg_query leaves it bare: a relation is known by its fields. */
function eachRelation(value: unknown, visit: (schema: string, name: string) => void): void {
  if (typeof value !== 'object' || value === null) return
  const { relname, schemaname } = value as Body
  if (typeof relname === 'string') visit(typeof schemaname === 'string' ? schemaname : '', relname)
  for (const child of Object.values(value)) eachRelation(child, visit)
}

function nameIn(body: Body, field: string): string {
  const name = body[field]
  return typeof name === 'string' ? name : ''
}
