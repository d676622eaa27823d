/**
 * What INSERT, UPDATE, DELETE, MERGE and COPY touch, with all that hangs on their table: unique keys that rows are given or leave,
 * foreign keys in both directions, triggers, defaults that draw from sequences, views that lead elsewhere.
 */
import type { CopyStmt, DeleteStmt, InsertStmt, MergeStmt, Node, RangeVar, UpdateStmt } from 'libpg-query'
import type { CatalogColumn, ForeignKey, Relation, Trigger } from '../segment/catalog.js'
import { isTime } from './times.js'
import { type Access, identityOf, type RowKey, type Value } from './touch.js'
import type { Env, Walk } from './touch-statement.js'
import { constantOf, type FromItem, operator } from './touch-values.js'

/** What a column is set to: alternatives (several rows), or null for an expression nobody can foresee. */
type Given = ReadonlyMap<string, readonly Value[] | null>

const RANDOM = /\b(gen_random_uuid|uuid_generate_v\d\w*|uuidv[47])\(/i

export function touchInsert(walk: Walk, insert: InsertStmt, outer: Env): void {
  const env = walk.with(insert.withClause, outer)
  if (insert.selectStmt) walk.statement(insert.selectStmt, env)
  walk.walk(insert.returningClause ?? null, env)
  const target = targetOf(walk, insert.relation, 'insert')
  if (!target) return
  const named = (insert.cols ?? []).flatMap((col) => ('ResTarget' in col ? [col.ResTarget.name ?? ''] : []))
  const columns = named.length > 0 ? named : target.columns.map((column) => column.name)
  const rows =
    insert.selectStmt && 'SelectStmt' in insert.selectStmt
      ? insert.selectStmt.SelectStmt.valuesLists?.flatMap((row) => ('List' in row ? [row.List.items ?? []] : []))
      : []
  const given = new Map<string, readonly Value[] | null>()
  target.columns.forEach((column) => {
    const at = columns.indexOf(column.name)
    const nodes = at < 0 ? [] : (rows?.map((row) => row[at]) ?? null)
    given.set(column.name, insertedValues(walk, column, nodes))
  })
  for (const name of assignedByTriggers(walk, target, 'insert')) given.set(name, null)
  const keys = givenKeys(target, given)
  const own: Own = { counted: walk.isOwn(insert), answers: walk.isOwn(insert) }
  add(walk, target, { mode: 'insert', rows: [], given: keys, ...own })
  reachOut(walk, target, 'insert', given)
  const conflict = insert.onConflictClause
  if (conflict?.action !== 'ONCONFLICT_UPDATE') return
  walk.walk(conflict, env)
  const set = assigned(walk, conflict.targetList ?? [], target)
  const inferred = (conflict.infer?.indexElems ?? []).flatMap((elem) =>
    'IndexElem' in elem ? [elem.IndexElem.name ?? ''] : [],
  )
  const unique = target.uniques.findIndex(
    (key) => key.name === conflict.infer?.conname || sameNames(keyNames(target, key.columns), inferred),
  )
  const row = keys.find((key) => key.unique === unique && key.values.length > 0)
  write(walk, target, row ? [row] : [], set, own)
}

export function touchUpdate(walk: Walk, update: UpdateStmt, outer: Env): void {
  const env = walk.with(update.withClause, outer)
  walk.walk(update.targetList, env)
  walk.walk(update.whereClause, env)
  walk.walk(update.returningClause ?? null, env)
  const target = targetOf(walk, update.relation, 'update')
  const self: FromItem = { alias: aliasOf(update.relation), relation: target ?? null }
  const { items, bindings } = walk.from(update.fromClause ?? [], env, update.whereClause, self)
  for (const item of items) if (item.relation) walk.read(item.relation, bindings.keys(item))
  if (!target) return
  const set = assigned(walk, update.targetList ?? [], target)
  const own = ownRows(walk, update, self, items)
  write(walk, target, bindings.keys(self), set, own)
  for (const part of update.targetList ?? []) chainOf(walk, target, part)
}

export function touchDelete(walk: Walk, del: DeleteStmt, outer: Env): void {
  const env = walk.with(del.withClause, outer)
  walk.walk(del.whereClause, env)
  walk.walk(del.returningClause ?? null, env)
  const target = targetOf(walk, del.relation, 'delete')
  const self: FromItem = { alias: aliasOf(del.relation), relation: target ?? null }
  const { items, bindings } = walk.from(del.usingClause ?? [], env, del.whereClause, self)
  for (const item of items) if (item.relation) walk.read(item.relation, bindings.keys(item))
  if (!target) return
  const own = ownRows(walk, del, self, items)
  add(walk, target, { mode: 'delete', rows: bindings.keys(self), given: leftKeys(target), ...own })
  reachOut(walk, target, 'delete', null)
}

export function touchMerge(walk: Walk, merge: MergeStmt, outer: Env): void {
  const env = walk.with(merge.withClause, outer)
  walk.walk([merge.sourceRelation, merge.joinCondition, merge.mergeWhenClauses, merge.returningClause], env)
  const target = targetOf(walk, merge.relation, 'update')
  if (target) anyWrite(walk, target, ['insert', 'rekey', 'delete'], walk.isOwn(merge))
}

/** What the tag and the answer of a statement say about the rows it writes. */
type Own = Pick<Access, 'counted' | 'answers'>

/** RETURNING may also name rows that are only looked at. */
function ownRows(walk: Walk, statement: UpdateStmt | DeleteStmt, self: FromItem, others: readonly FromItem[]): Own {
  const counted = walk.isOwn(statement)
  const list = statement.returningClause?.exprs ?? []
  const answers = counted && (others.length === 0 || list.every((part) => isOf(part, self)))
  return { counted, answers }
}

function isOf(part: Node, self: FromItem): boolean {
  const value = 'ResTarget' in part ? part.ResTarget.val : undefined
  if (!value || !('ColumnRef' in value)) return true // An expression has no table.
  const names = (value.ColumnRef.fields ?? []).map((field) => ('String' in field ? (field.String.sval ?? '') : null))
  if (names.length > 1) return names.at(-2) === self.alias
  return names[0] !== null && (self.relation?.columns.some(({ name }) => name === names[0]) ?? false)
}

export function touchCopy(walk: Walk, copy: CopyStmt, env: Env): void {
  if (copy.query) walk.statement(copy.query, env)
  if (!copy.relation) return
  if (!copy.is_from) {
    const source = walk.relation(copy.relation.schemaname, copy.relation.relname ?? '', false)
    if (source) walk.read(source, [])
    return
  }
  const target = targetOf(walk, copy.relation, 'insert')
  if (!target) return
  const named = (copy.attlist ?? []).flatMap((col) => ('String' in col ? [col.String.sval ?? ''] : []))
  const given = new Map<string, readonly Value[] | null>()
  for (const column of target.columns) {
    const supplied = named.length === 0 || named.includes(column.name)
    given.set(column.name, supplied ? null : insertedValues(walk, column, []))
  }
  for (const name of assignedByTriggers(walk, target, 'insert')) given.set(name, null)
  add(walk, target, { mode: 'insert', rows: [], given: givenKeys(target, given) })
  reachOut(walk, target, 'insert', given)
}

/** The written table; a view is taken for everything it is made of, a table with rules for everything. */
function targetOf(walk: Walk, range: RangeVar | undefined, mode: 'insert' | 'update' | 'delete'): Relation | undefined {
  const found = range && walk.relation(range.schemaname, range.relname ?? '', true)
  if (!found) return undefined
  if (found.rules.length > 0) walk.everything(`rules on ${found.name}`)
  if (found.kind !== 'view') return found
  fire(walk, found.triggers, mode)
  if (!found.triggers.some((trigger) => trigger.timing === 'instead')) writeBehind(walk, found)
  return undefined
}

/** An automatically updatable view: some table in it is written. */
function writeBehind(walk: Walk, view: Relation): void {
  const touch = walk.reader.touch(view.viewSql ?? '')
  for (const access of touch.accesses) {
    const base = walk.reader.index.byOid(access.relation)
    if (base) anyWrite(walk, base, ['insert', 'rekey', 'delete'])
  }
}

function anyWrite(
  walk: Walk,
  target: Relation,
  modes: readonly ('insert' | 'rekey' | 'delete')[],
  counted = false,
): void {
  const given = target.uniques.map((_, unique) => ({ unique, values: [] }))
  for (const mode of modes) {
    add(walk, target, { mode, rows: [], given, counted, answers: false })
    reachOut(walk, target, mode === 'rekey' ? 'update' : mode, null)
  }
  for (const column of target.columns) insertedValues(walk, column, [])
}

function write(walk: Walk, target: Relation, rows: readonly RowKey[], written: Given, own: Own): void {
  const set = new Map(written)
  for (const name of assignedByTriggers(walk, target, 'update')) set.set(name, null)
  const rekeyed = target.uniques.flatMap((unique, index) =>
    unique.columns.includes(0) || keyNames(target, unique.columns).some((name) => set.has(name)) ? [index] : [],
  )
  const given = givenKeys(target, set).filter((key) => rekeyed.includes(key.unique))
  const identity = identityOf(target)
  const moved = identity >= 0 && rekeyed.includes(identity)
  const referenced = walk.reader.index
    .referencesTo(target.oid)
    .some(({ key }) => keyNames(target, key.referencedColumns).some((name) => set.has(name)))
  add(walk, target, { mode: moved || referenced ? 'rekey' : 'update', rows, given, ...own })
  reachOut(walk, target, 'update', set)
}

function add(walk: Walk, target: Relation, access: Pick<Access, 'mode' | 'rows' | 'given'> & Partial<Own>): void {
  walk.add({ relation: target.oid, ...access })
  if (access.mode === 'insert' || access.mode === 'update' || access.mode === 'rekey') {
    if (target.columns.some(isTime)) walk.timeDefault(target.oid)
  }
}

/** Foreign keys and triggers. `set` null: any column may have changed. */
function reachOut(walk: Walk, target: Relation, event: 'insert' | 'update' | 'delete', set: Given | null): void {
  if (event !== 'delete') for (const key of target.foreignKeys) shareParent(walk, target, key, set)
  if (event !== 'insert') {
    for (const { from, key } of walk.reader.index.referencesTo(target.oid)) {
      if (event === 'update' && set && !keyNames(target, key.referencedColumns).some((name) => set.has(name))) continue
      walk.reader.once(from.oid, () => touchChildren(walk, walk.reader.index.root(from), key, event))
    }
  }
  fire(walk, target.triggers, event)
  for (const child of walk.reader.index.children(target.oid)) fire(walk, child.triggers, event)
}

function shareParent(walk: Walk, target: Relation, key: ForeignKey, set: Given | null): void {
  const names = keyNames(target, key.columns)
  if (set && !names.some((name) => set.has(name))) return
  const parent = walk.reader.index.byOid(key.referencedOid)
  if (!parent) return
  const root = walk.reader.index.root(parent)
  const bound = names.map((name) => set?.get(name) ?? null)
  if (bound.some((values) => values?.every((value) => value.kind === 'null'))) return
  const unique = parent.uniques.findIndex((candidate) => sameNumbers(candidate.columns, key.referencedColumns))
  const known = unique >= 0 && bound.every((values) => values !== null) && root === parent
  const values = known
    ? parent.uniques[unique]!.columns.map((attnum) => bound[key.referencedColumns.indexOf(attnum)]!)
    : []
  const rows = known ? [{ unique, values }] : []
  walk.add({ relation: root.oid, mode: 'key-share', rows, atCommit: key.deferred === true })
}

function touchChildren(walk: Walk, child: Relation, key: ForeignKey, event: 'update' | 'delete'): void {
  const action = event === 'delete' ? key.onDelete : key.onUpdate
  if (action === 'no action' || action === 'restrict') {
    walk.add({ relation: child.oid, mode: 'read', atCommit: action === 'no action' && key.deferred === true })
  } else if (action === 'cascade' && event === 'delete') {
    walk.add({ relation: child.oid, mode: 'delete', given: leftKeys(child) })
    reachOut(walk, child, 'delete', null)
  } else {
    walk.add({ relation: child.oid, mode: 'rekey', given: child.uniques.map((_, unique) => ({ unique, values: [] })) })
    reachOut(walk, child, 'update', null)
  }
}

function fire(walk: Walk, triggers: readonly Trigger[], event: 'insert' | 'update' | 'delete'): void {
  for (const trigger of triggers) if (trigger.enabled && trigger.events.includes(event)) walk.reach(trigger.functionOid)
}

/** A BEFORE trigger may give its row other values than the statement did: then nobody can foresee them. */
function assignedByTriggers(walk: Walk, target: Relation, event: 'insert' | 'update'): string[] {
  const { index } = walk.reader
  const triggers = [target, ...index.children(target.oid)].flatMap((relation) => relation.triggers)
  return triggers.flatMap(({ timing, events, enabled, functionOid }) => {
    if (timing !== 'before' || !enabled || !events.includes(event)) return []
    const fn = index.functionByOid(functionOid)
    return [...((fn && index.assigned(fn)) ?? target.columns.map((column) => column.name))]
  })
}

/** What an INSERT puts into a column. `nodes` null: from a query; empty: the column's default. */
function insertedValues(
  walk: Walk,
  column: CatalogColumn,
  nodes: readonly (Node | undefined)[] | null,
): readonly Value[] | null {
  if (nodes === null) return null
  const isDefault = nodes.length === 0 || nodes.some((node) => !node || 'SetToDefault' in node)
  const found: (Value | null)[] = nodes.map((node) => (node && !('SetToDefault' in node) ? constantOf(node) : null))
  if (isDefault) {
    const standard = defaultValue(walk, column)
    if (nodes.length === 0) return standard && [standard]
    nodes.forEach((node, i) => {
      if (!node || 'SetToDefault' in node) found[i] = standard
    })
  }
  return found.every((value) => value !== null) ? (found as Value[]) : null
}

function defaultValue(walk: Walk, column: CatalogColumn): Value | null {
  if (column.sequenceOid !== 0) {
    walk.draw(column.sequenceOid)
    return { kind: 'fresh' }
  }
  if (column.default === null) return column.generated === '' ? { kind: 'null' } : null
  if (RANDOM.test(column.default)) return { kind: 'fresh' }
  const tree = walk.reader.index.parsed(`SELECT ${column.default}`)?.[0]?.stmt
  if (!tree || !('SelectStmt' in tree)) return null
  walk.walk(tree, new Set())
  const value = tree.SelectStmt.targetList?.[0]
  return value && 'ResTarget' in value && value.ResTarget.val ? constantOf(value.ResTarget.val) : null
}

/** Columns that SET assigns; the value is known when it is a parameter or a constant. */
function assigned(walk: Walk, targets: readonly Node[], target: Relation): Given {
  const set = new Map<string, readonly Value[] | null>()
  for (const part of targets) {
    if (!('ResTarget' in part)) continue
    const { name = '', val } = part.ResTarget
    if (val && 'SetToDefault' in val) {
      const column = target.columns.find((candidate) => candidate.name === name)
      const standard = column ? defaultValue(walk, column) : null
      set.set(name, standard && [standard])
    } else {
      const value = val ? constantOf(val) : null
      set.set(name, value && [value])
    }
  }
  return set
}

/** The unique keys that rows get. A key with a NULL in it collides with nothing and is left out. */
function givenKeys(target: Relation, given: Given): RowKey[] {
  return target.uniques.flatMap((unique, index): RowKey[] => {
    const values = keyNames(target, unique.columns).map((name) => given.get(name) ?? null)
    if (unique.columns.includes(0) || values.some((value) => value === null)) return [{ unique: index, values: [] }]
    const known = values as Value[][]
    return known.some((alternatives) => alternatives.every((value) => value.kind === 'null'))
      ? []
      : [{ unique: index, values: known }]
  })
}

/** A deleted row frees its other keys, whose values the statement does not say. */
function leftKeys(target: Relation): RowKey[] {
  const identity = identityOf(target)
  return target.uniques.flatMap((_, unique) => (unique === identity ? [] : [{ unique, values: [] }]))
}

function chainOf(walk: Walk, target: Relation, part: Node): void {
  if (!('ResTarget' in part) || !part.ResTarget.val || !('A_Expr' in part.ResTarget.val)) return
  const { name, lexpr, rexpr, kind } = part.ResTarget.val.A_Expr
  const sign = operator(name)
  if (kind !== 'AEXPR_OP' || (sign !== '+' && sign !== '-') || !lexpr || !rexpr || !('ColumnRef' in lexpr)) return
  const last = lexpr.ColumnRef.fields?.at(-1)
  const delta = constantOf(rexpr)
  const column = part.ResTarget.name ?? ''
  if (!delta || !last || !('String' in last) || last.String.sval !== column) return
  walk.chain({ relation: target.oid, column, delta, negative: sign === '-' })
}

function aliasOf(range: RangeVar | undefined): string {
  return range?.alias?.aliasname ?? range?.relname ?? ''
}

function keyNames(relation: Relation, attnums: readonly number[]): string[] {
  return attnums.map((attnum) => relation.columns.find((column) => column.attnum === attnum)?.name ?? '')
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name))
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((number) => b.includes(number))
}
