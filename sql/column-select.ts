/**
 * SELECT, VALUES, set operations, CTEs and FROM: what comes out of a query, column by column.
 */
import { type Affects, affecting, caution, ORDER, ROWS, withinQuery } from './column-cautions.js'
import { all, expression, meet, type Walk } from './column-expressions.js'
import {
  childScope,
  cteNamed,
  lookUp,
  ofRelation,
  relationNamed,
  renamed,
  type Scope,
  type Source,
  star,
} from './column-scope.js'
import { derived, either, NOTHING, OPAQUE, type Output, type Value } from './column-values.js'
import { writeOutputs } from './column-writes.js'
import { list, strings, unwrap } from './tree-walk.js'

type Body = Readonly<Record<string, unknown>>

/** Deeper nesting than any person writes; a guard against texts made to hurt. */
const DEPTH_MAX = 200

const SYSTEM_SCHEMAS = new Set(['pg_catalog', 'information_schema'])

/** A query inside of something else. */
export function selectOutputs(walk: Walk, outer: Scope | null, body: Body): readonly Output[] {
  return withinQuery(walk, () => ownOutputs(walk, outer, body))
}

/** The statement's own query, or a branch of it: its results are seen. */
export function ownOutputs(walk: Walk, outer: Scope | null, body: Body): readonly Output[] {
  if (walk.depth.now > DEPTH_MAX) return []
  walk.depth.now += 1
  try {
    const scope = childScope(outer)
    withClause(walk, scope, body.withClause)
    const outputs =
      body.larg !== undefined
        ? setOperation(walk, scope, body)
        : list(body, 'valuesLists').length > 0
          ? values(walk, scope, body)
          : plain(walk, scope, body)
    for (const field of ['limitCount', 'limitOffset']) walk.slots.harmless(expression(walk, scope, body[field]))
    const cut =
      body.limitCount !== undefined || body.limitOffset !== undefined || list(body, 'distinctClause').length > 0
    sortClause(walk, scope, outputs, list(body, 'sortClause'), cut ? ROWS : ORDER)
    return outputs
  } finally {
    walk.depth.now -= 1
  }
}

/** Any statement that returns rows. */
export function statementQuery(walk: Walk, outer: Scope | null, node: unknown): readonly Output[] {
  const found = unwrap(node)
  if (found === null) return []
  return found.kind === 'SelectStmt' ? ownOutputs(walk, outer, found.body) : writeOutputs(walk, outer, found)
}

/** The same inside another: in a CTE it may write. */
function queryOutputs(walk: Walk, outer: Scope | null, node: unknown): readonly Output[] {
  return withinQuery(walk, () => statementQuery(walk, outer, node))
}

export function withClause(walk: Walk, scope: Scope, clause: unknown): void {
  const body = clause as Body | undefined
  if (body === undefined) return
  for (const item of list(body, 'ctes')) {
    const cte = unwrap(item)?.body ?? {}
    const name = String(cte.ctename ?? '')
    const names = strings(list(cte, 'aliascolnames'))
    const query = unwrap(cte.ctequery)
    // A recursive query's first branch says what its columns are; the second may name it.
    if (body.recursive === true && query?.kind === 'SelectStmt' && query.body.larg !== undefined) {
      const first = selectOutputs(walk, scope, query.body.larg as Body)
      scope.ctes.set(name, renamed(first, names))
    }
    scope.ctes.set(name, renamed(queryOutputs(walk, scope, cte.ctequery), names))
  }
}

function setOperation(walk: Walk, scope: Scope, body: Body): readonly Output[] {
  // Only UNION ALL keeps every row; the others compare them.
  const branch = body.op === 'SETOP_UNION' && body.all === true ? ownOutputs : selectOutputs
  const left = branch(walk, scope, body.larg as Body)
  const right = branch(walk, scope, body.rarg as Body)
  return left.map((output, at) => {
    const other = right[at]?.value
    if (other === undefined) return output
    meet(walk, output.value, other, 'equal')
    return { name: output.name, value: either([output.value, other]) }
  })
}

function values(walk: Walk, scope: Scope, body: Body): readonly Output[] {
  const rows = list(body, 'valuesLists').map((row) => all(walk, scope, list(unwrap(row)?.body ?? {}, 'items')))
  return (rows[0] ?? []).map((_, at) => ({
    name: `column${at + 1}`,
    value: either(rows.map((row) => row[at] ?? NOTHING)),
  }))
}

function plain(walk: Walk, scope: Scope, body: Body): readonly Output[] {
  fromClause(walk, scope, list(body, 'fromClause'))
  expression(walk, scope, body.whereClause)
  const groups = list(body, 'groupClause').length + list(body, 'distinctClause').length > 0
  const targets = () => targetList(walk, scope, list(body, 'targetList'))
  const outputs = groups ? withinQuery(walk, targets) : targets()
  const grouped = all(
    walk,
    scope,
    list(body, 'groupClause').map((node) => byName(node, outputs)),
  )
  // What differs only in case may be one group as it is, and two once it is masked.
  for (const { columns, via } of groups ? [...grouped, ...outputs.map(({ value }) => value)] : [])
    if (via === 'fold') caution(walk, columns, 'fold')
  expression(walk, scope, body.havingClause)
  for (const node of list(body, 'distinctClause')) expression(walk, scope, byName(node, outputs))
  for (const node of list(body, 'windowClause')) {
    const window = unwrap(node)?.body ?? {}
    all(walk, scope, list(window, 'partitionClause'))
    sortClause(walk, scope, [], list(window, 'orderClause'), ROWS)
  }
  return outputs
}

/** `GROUP BY 1` is a position, not a number that anything meets. */
function byName(node: unknown, outputs: readonly Output[]): unknown {
  const found = unwrap(node)
  return found?.kind === 'A_Const' && outputs.length > 0 ? null : node
}

function sortClause(
  walk: Walk,
  scope: Scope,
  outputs: readonly Output[],
  clause: readonly unknown[],
  affects: Affects,
): void {
  for (const item of clause) {
    const node = unwrap(item)?.body.node
    const found = unwrap(node)
    let value: Value | undefined
    if (found?.kind === 'A_Const') {
      const position = (found.body.ival as { ival?: number } | undefined)?.ival
      walk.slots.harmless(expression(walk, scope, node))
      value = position === undefined ? undefined : outputs[position - 1]?.value
    } else if (found?.kind === 'ColumnRef') {
      const names = strings(list(found.body, 'fields'))
      value = names.length === 1 ? outputs.find((output) => output.name === names[0])?.value : undefined
    }
    value ??= affecting(walk, affects, () => expression(walk, scope, node))
    caution(walk, value.columns, 'order', affects)
  }
}

export function targetList(walk: Walk, scope: Scope, targets: readonly unknown[]): readonly Output[] {
  let at = 0
  return targets.flatMap((target): readonly Output[] => {
    const outputs = affecting(walk, { what: 'result', at }, () => targetOutputs(walk, scope, target))
    at += outputs.length
    return outputs
  })
}

function targetOutputs(walk: Walk, scope: Scope, target: unknown): readonly Output[] {
  const body = unwrap(target)?.body ?? {}
  const node = unwrap(body.val)
  if (node?.kind === 'ColumnRef' && unwrap(list(node.body, 'fields').at(-1))?.kind === 'A_Star') {
    const qualifier = strings(list(node.body, 'fields')).at(-1) ?? null
    // Of an unknown table nobody knows how many columns: one stands for all, and what follows cannot be placed.
    return star(scope, qualifier) ?? [{ name: '*', value: OPAQUE }]
  }
  return [{ name: outputName(body, node), value: expression(walk, scope, body.val) }]
}

function outputName(body: Body, node: ReturnType<typeof unwrap>): string {
  if (typeof body.name === 'string') return body.name
  if (node?.kind === 'ColumnRef') return strings(list(node.body, 'fields')).at(-1) ?? '?column?'
  if (node?.kind === 'FuncCall') return strings(list(node.body, 'funcname')).at(-1) ?? '?column?'
  return '?column?'
}

export function fromClause(walk: Walk, scope: Scope, items: readonly unknown[]): void {
  for (const item of items) scope.sources.push(...fromItem(walk, scope, item))
}

export function fromItem(walk: Walk, scope: Scope, item: unknown): readonly Source[] {
  const found = unwrap(item)
  if (found === null) return []
  const alias = (found.body.alias as Body | undefined) ?? {}
  const name = typeof alias.aliasname === 'string' ? alias.aliasname : null
  const names = strings(list(alias, 'colnames'))
  switch (found.kind) {
    case 'RangeVar':
      return [tableSource(walk, scope, found.body, name, names)]
    case 'RangeSubselect':
      // Not only LATERAL sees its neighbours here: a text that would be refused for it never got this far.
      return [
        {
          alias: name ?? '',
          schema: null,
          known: true,
          outputs: renamed(queryOutputs(walk, scope, found.body.subquery), names),
        },
      ]
    case 'JoinExpr':
      return join(walk, scope, found.body, name)
    case 'RangeFunction':
      return [functionSource(walk, scope, found.body, name, names)]
    case 'RangeTableSample': {
      for (const arg of list(found.body, 'args')) walk.slots.harmless(expression(walk, scope, arg))
      return fromItem(walk, scope, found.body.relation)
    }
    default: {
      const value = expression(walk, scope, item)
      return [
        {
          alias: name ?? '',
          schema: null,
          known: false,
          outputs: names.map((column) => ({ name: column, value: derived([value]) })),
        },
      ]
    }
  }
}

function tableSource(walk: Walk, scope: Scope, body: Body, alias: string | null, names: readonly string[]): Source {
  const table = String(body.relname ?? '')
  const schema = typeof body.schemaname === 'string' ? body.schemaname : undefined
  const cte = schema === undefined ? cteNamed(scope, table) : null
  if (cte !== null) return { alias: alias ?? table, schema: null, known: true, outputs: renamed(cte, names) }
  const relation = relationNamed(walk.index, schema, table)
  if (relation === undefined) {
    const system = SYSTEM_SCHEMAS.has(schema ?? '') || (schema === undefined && table.startsWith('pg_'))
    return { alias: alias ?? table, schema: schema ?? null, known: false, system, outputs: [] }
  }
  const source = ofRelation(relation, alias ?? table)
  const view = relation.viewSql === null ? null : walk.view(relation.oid)
  walk.cautions.push(...(view?.cautions ?? []))
  const outputs =
    view === null
      ? source.outputs
      : source.outputs.map((output, at) => ({ name: output.name, value: view.outputs[at]?.value ?? output.value }))
  return { ...source, outputs: renamed(outputs, names) }
}

function join(walk: Walk, scope: Scope, body: Body, alias: string | null): readonly Source[] {
  const left = fromItem(walk, scope, body.larg)
  // The right side may be LATERAL: it sees the left one.
  const inner: Scope = { sources: [...scope.sources, ...left], parent: scope.parent, ctes: scope.ctes }
  const right = fromItem(walk, inner, body.rarg)
  const both = childScope(scope)
  both.sources.push(...left, ...right)
  const shared = strings(list(body, 'usingClause'))
  const common = body.isNatural === true ? commonNames(left, right) : shared
  const merged = common.map((name): Output => {
    const [one, other] = [
      lookUp({ ...both, sources: [...left] }, [name]),
      lookUp({ ...both, sources: [...right] }, [name]),
    ]
    meet(walk, one, other, 'equal')
    return { name, value: either([one, other]) }
  })
  expression(walk, both, body.quals)
  const sources: readonly Source[] =
    merged.length === 0
      ? [...left, ...right]
      : [
          { alias: '', schema: null, known: true, outputs: merged },
          ...[...left, ...right].map((source) => withoutNames(source, common)),
        ].flat()
  if (alias === null) return sources
  return [
    {
      alias,
      schema: null,
      known: sources.every((source) => source.known),
      outputs: sources.flatMap((source) => (source.hidden === true ? [] : source.outputs)),
    },
  ]
}

function commonNames(left: readonly Source[], right: readonly Source[]): readonly string[] {
  const names = new Set(right.flatMap((source) => source.outputs.map((output) => output.name)))
  return left.flatMap((source) => source.outputs.map((output) => output.name)).filter((name) => names.has(name))
}

/** After USING the table still answers to `t.column`, but a bare name and `*` mean the merged column. */
function withoutNames(source: Source, names: readonly string[]): readonly Source[] {
  return [
    { ...source, hidden: true },
    { ...source, alias: '', outputs: source.outputs.filter((output) => !names.includes(output.name)) },
  ]
}

function functionSource(walk: Walk, scope: Scope, body: Body, alias: string | null, names: readonly string[]): Source {
  const calls = list(body, 'functions').map((item) => list(unwrap(item)?.body ?? {}, 'items')[0])
  const columns: Output[] = []
  let known = true
  for (const node of calls) {
    const found = unwrap(node)
    const name = found?.kind === 'FuncCall' ? (strings(list(found.body, 'funcname')).at(-1) ?? '') : ''
    if (name === 'unnest' && found !== null) {
      for (const arg of list(found.body, 'args')) {
        const value = expression(walk, scope, arg)
        walk.slots.mark(value.slots, { array: true })
        columns.push({ name: calls.length === 1 ? (alias ?? 'unnest') : 'unnest', value })
      }
      continue
    }
    const value = expression(walk, scope, node)
    if (/^(generate_series|regexp_split_to_table|string_to_table|jsonb?_array_elements(_text)?)$/.test(name))
      columns.push({ name: alias ?? name, value })
    else {
      known = false
      columns.push({ name: alias ?? name, value: derived([value]) })
    }
  }
  const defined = list(body, 'coldeflist').map((item) => String(unwrap(item)?.body.colname ?? ''))
  const outputs = known
    ? renamed(columns, names)
    : [...names, ...defined].map((name) => ({ name, value: derived(columns.map((column) => column.value)) }))
  const ordinality =
    body.ordinality === true && known ? [{ name: names[columns.length] ?? 'ordinality', value: NOTHING }] : []
  return {
    alias: alias ?? columns[0]?.name ?? '',
    schema: null,
    known: known || defined.length > 0,
    outputs: [...outputs, ...ordinality],
  }
}
