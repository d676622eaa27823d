/**
 * Which column does every literal, parameter and result column of a text belong to? From PostgreSQL's parse tree and the catalog.
 *
 * Being unsure leaves a slot without a column and a result column not `clear`: whoever masks then falls back to the default of the type.
 */
import type { RawStmt } from 'libpg-query'
import type { Catalog, CatalogFunction } from '../segment/catalog.js'
import { cautionsOfBody, seenFromOutside } from './column-bodies.js'
import type { Caution } from './column-cautions.js'
import { expression, type View, type Walk } from './column-expressions.js'
import { mayNameSomebody } from './column-functions.js'
import { childScope, ofRelation, relationNamed } from './column-scope.js'
import { ownOutputs, selectOutputs, statementQuery } from './column-select.js'
import { type SlotFacts, SlotTable } from './column-slots.js'
import { type ColumnRef, type Output, type Slot, type Via, withoutSlots } from './column-values.js'
import { parse } from './parse.js'
import { CatalogIndex } from './relations.js'
import { list, strings, type TreeNode, unwrap, walk as walkTree } from './tree-walk.js'

export type { Affects, Caution } from './column-cautions.js'
export { relationNamed } from './column-scope.js'
export type { SlotFacts } from './column-slots.js'
export type { ColumnRef, Use, Via } from './column-values.js'

/** What a result column is made of. */
export type ResultColumn = {
  readonly name: string
  /** The columns it may be taken from, unchanged up to `via`. */
  readonly columns: readonly ColumnRef[]
  readonly via: Via
  /** A number about values, of which nobody can tell them. */
  readonly measures: boolean
  /** Every column it depends on. */
  readonly sources: readonly ColumnRef[]
  /** False: it depends on something that cannot be seen through. */
  readonly clear: boolean
  /** It repeats a literal or a parameter of the text, or a part of it does. */
  readonly echoes: readonly Slot[]
  /** Values inside JSON that the statement builds, by path; computed: its keys may be values as well. */
  readonly json: readonly {
    readonly path: readonly string[]
    readonly columns: readonly ColumnRef[]
    readonly computed: boolean
  }[]
  /** Of a row: what each field is made of. */
  readonly fields: readonly RowField[] | null
}

export type RowField = Pick<ResultColumn, 'columns' | 'via' | 'sources'>

export type StatementColumns = {
  /** Node of the parse tree: `SelectStmt`, `InsertStmt`, `VariableSetStmt` … */
  readonly kind: string
  readonly writes: boolean
  /** null: it returns no rows, or nobody knows which (`EXECUTE`, `SELECT *` from an unknown table). */
  readonly results: readonly ResultColumn[] | null
  readonly cautions: readonly Caution[]
}

export type ResolvedColumns = {
  readonly statements: readonly StatementColumns[]
  /** By number: `$1` is 1. */
  readonly parameters: ReadonlyMap<number, SlotFacts>
  /** By the byte offset of the literal in the text. */
  readonly literals: ReadonlyMap<number, SlotFacts>
}

export type ColumnResolver = {
  readonly index: CatalogIndex
  resolve(statements: readonly RawStmt[]): ResolvedColumns
  /** The columns below a view's column; null when there is none below, or it is not a view. */
  below(viewOid: number, attnum: number): readonly ColumnRef[] | null
  /** The columns that a view's column is computed from, or hands through; null when it is no view's, or nobody knows. */
  madeOf(viewOid: number, attnum: number): readonly ColumnRef[] | null
}

export function createColumnResolver(catalog: Catalog, index = new CatalogIndex(catalog)): ColumnResolver {
  const views = new Map<number, View | null>()
  const functions = new Map<CatalogFunction, readonly Caution[]>()
  const prepared = new Map<string, Prepared>()

  const view = (oid: number): View | null => {
    const known = views.get(oid)
    if (known !== undefined) return known
    views.set(oid, null) // a view that reads itself ends here
    const sql = index.byOid(oid)?.viewSql
    const select = sql === null || sql === undefined ? null : unwrap(parse(sql)?.[0]?.stmt)
    const walk = newWalk()
    const found =
      select?.kind === 'SelectStmt'
        ? seenFromOutside(foreign(ownOutputs(walk, null, select.body)), walk.cautions)
        : null
    views.set(oid, found)
    return found
  }
  const viewOutput = (oid: number, attnum: number): Output | undefined => {
    const at = index.byOid(oid)?.columns.findIndex((column) => column.attnum === attnum) ?? -1
    return view(oid)?.outputs[at]
  }
  const functionCautions = (of: CatalogFunction): readonly Caution[] => {
    const known = functions.get(of)
    if (known !== undefined) return known
    functions.set(of, []) // a function that calls itself ends here
    const found = cautionsOfBody(of, index, newWalk)
    functions.set(of, found)
    return found
  }
  const newWalk = (slots = new SlotTable()): Walk => ({
    index,
    slots,
    cautions: [],
    view,
    functionCautions,
    depth: { now: 0 },
  })

  return {
    index,
    resolve(statements) {
      const slots = new SlotTable()
      const found = statements.map((statement): StatementColumns => {
        const walk = newWalk(slots)
        const node = unwrap(statement.stmt)
        if (node === null) return { kind: 'unknown', writes: true, results: null, cautions: [] }
        const results = node.kind === 'ExecuteStmt' ? execute(walk, node, prepared) : statementOutputs(walk, node)
        if (node.kind === 'PrepareStmt') prepare(node, prepared, newWalk(new SlotTable()))
        return {
          kind: node.kind,
          writes: writes(node),
          results:
            results === null || results.some((output) => output.name === '*')
              ? null
              : results.map((output) => resultColumn(output, slots)),
          cautions: walk.cautions,
        }
      })
      return { statements: found, parameters: slots.all('parameter'), literals: slots.all('literal') }
    },
    below(viewOid, attnum) {
      const value = viewOutput(viewOid, attnum)?.value
      return value === undefined || value.via !== 'exact' || value.columns.length === 0 ? null : value.columns
    },
    madeOf(viewOid, attnum) {
      const value = viewOutput(viewOid, attnum)?.value
      const found = value === undefined ? [] : [...value.columns, ...value.sources]
      return found.length === 0 ? null : found
    },
  }
}

function resultColumn(output: Output, facts: SlotTable): ResultColumn {
  const { columns, via, sources, clear, slots, parts, json } = output.value
  return {
    name: output.name,
    columns,
    via,
    measures: output.value.measures === true,
    sources,
    clear,
    echoes: [...slots, ...parts].filter((slot) => facts.of(slot).harmless === null && !facts.isNumber(slot)),
    json: (json ?? []).map(({ path, value }) => ({
      path,
      columns: value.columns,
      computed: value.via === 'derive' && value.sources.length > 0,
    })),
    fields: output.value.row?.map(({ value: { columns, via, sources } }) => ({ columns, via, sources })) ?? null,
  }
}

export const DML: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
/** Utility statements that hold a query in a field. */
const WRAPPERS: Readonly<Record<string, string>> = {
  ExplainStmt: 'query',
  DeclareCursorStmt: 'query',
  CreateTableAsStmt: 'query',
  CopyStmt: 'query',
  ViewStmt: 'query',
  PrepareStmt: 'query',
}

function statementOutputs(walk: Walk, node: TreeNode): readonly Output[] | null {
  if (DML.has(node.kind)) {
    const outputs = statementQuery(walk, null, { [node.kind]: node.body })
    return outputs.length === 0 ? null : outputs
  }
  const wrapped = WRAPPERS[node.kind]
  if (wrapped !== undefined && node.body[wrapped] !== undefined) {
    const outputs = statementQuery(walk, null, node.body[wrapped])
    return node.kind === 'CopyStmt' ? outputs : null
  }
  utility(walk, node)
  return null
}

function foreign(outputs: readonly Output[]): readonly Output[] {
  return outputs.map(({ name, value }) => ({ name, value: withoutSlots(value) }))
}

/** What `PREPARE name AS …` said of its parameters and its result. */
type Prepared = {
  readonly parameters: ReadonlyMap<number, SlotFacts>
  readonly outputs: readonly Output[]
  readonly cautions: readonly Caution[]
}

const PREPARED_MAX = 1_000

/** Names belong to sessions; that two sessions mean different statements by one name is rarer than that they mean the same. */
function prepare(node: TreeNode, prepared: Map<string, Prepared>, walk: Walk): void {
  const outputs = foreign(statementQuery(walk, null, node.body.query))
  if (prepared.size >= PREPARED_MAX) prepared.clear()
  prepared.set(String(node.body.name), { parameters: walk.slots.all('parameter'), outputs, cautions: walk.cautions })
}

function execute(walk: Walk, node: TreeNode, prepared: ReadonlyMap<string, Prepared>): readonly Output[] | null {
  const known = prepared.get(String(node.body.name))
  for (const [at, argument] of list(node.body, 'params').entries()) {
    const value = expression(walk, childScope(null), argument)
    for (const { column, use } of known?.parameters.get(at + 1)?.bindings ?? [])
      walk.slots.bind(value.slots, [column], use)
  }
  walk.cautions.push(...(known?.cautions ?? []))
  return known === undefined || known.outputs.length === 0 ? null : known.outputs
}

/** Constants of utility statements stand in places of their own. */
function utility(walk: Walk, { kind, body }: TreeNode): void {
  const scope = childScope(null)
  switch (kind) {
    case 'VariableSetStmt': {
      const name = String(body.name ?? '').toLowerCase()
      for (const arg of list(body, 'args')) {
        const value = expression(walk, scope, arg)
        if (mayNameSomebody(name)) walk.slots.mark(value.slots, { setting: name })
        else walk.slots.harmless(value)
      }
      return
    }
    case 'CreateStmt':
    case 'AlterTableStmt': {
      const relation = body.relation as Readonly<Record<string, unknown>> | undefined
      const schema = typeof relation?.schemaname === 'string' ? relation.schemaname : undefined
      const table = relationNamed(walk.index, schema, String(relation?.relname ?? ''))
      if (table !== undefined) scope.sources.push(ofRelation(table, table.name))
      constants(walk, body, (node) => expression(walk, scope, node))
      return
    }
    default:
      constants(walk, body, (node) => expression(walk, scope, node))
  }
}

const EXPRESSIONS = new Set(['A_Expr', 'BoolExpr', 'FuncCall', 'TypeCast', 'A_Const', 'CaseExpr', 'CoalesceExpr'])

function constants(walk: Walk, body: unknown, visit: (node: unknown) => void): void {
  walkTree(body, (node) => {
    if (node.kind === 'SelectStmt') {
      selectOutputs(walk, null, node.body)
      return false
    }
    if (!EXPRESSIONS.has(node.kind)) return true
    visit({ [node.kind]: node.body })
    return false
  })
}

/** Statements that change nothing but their own session. */
const READS = new Set([
  'SelectStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'TransactionStmt',
  'FetchStmt',
  'DeclareCursorStmt',
  'ClosePortalStmt',
  'DeallocateStmt',
  'DiscardStmt',
  'ListenStmt',
  'UnlistenStmt',
  'CheckPointStmt',
  'LoadStmt',
  'PrepareStmt',
  'ConstraintsSetStmt',
])

function writes(node: TreeNode): boolean {
  if (node.kind === 'ExplainStmt') {
    const analyzes = list(node.body, 'options').some((option) => unwrap(option)?.body.defname === 'analyze')
    const query = unwrap(node.body.query)
    return analyzes && query !== null && writes(query)
  }
  if (node.kind === 'CopyStmt') {
    const query = unwrap(node.body.query)
    return node.body.is_from === true || (query !== null && writes(query))
  }
  if (!READS.has(node.kind)) return true
  let found = false
  walkTree(node.body, (inner) => {
    if (DML.has(inner.kind) && inner.kind !== 'SelectStmt') found = true
    if (inner.kind === 'FuncCall') {
      const name = strings(list(inner.body, 'funcname')).at(-1) ?? ''
      if (name === 'nextval' || name === 'setval' || name.startsWith('lo_')) found = true
    }
    return !found
  })
  return found || node.body.intoClause !== undefined
}
