/**
 * From a parse tree and the catalog to what the statement touches.
 *
 * One walk: SELECT scopes bind keys (./touch-values.ts), writes add what hangs on their table (./touch-write.ts), functions add what
 * their bodies reach (./reach.ts). Whatever is not recognised is walked for the tables and functions in it.
 */
import type { LockingClause, Node, SelectStmt } from 'libpg-query'
import type { CatalogFunction, Relation } from '../segment/catalog.js'
import { controlOf } from './control.js'
import { parse } from './parse.js'
import type { CatalogIndex } from './relations.js'
import { looksAtTimes } from './times.js'
import type { Access, Touch } from './touch.js'
import { isWrite, TOUCHES_NOTHING } from './touch.js'
import { Bindings, type FromItem, values } from './touch-values.js'
import { touchCopy, touchDelete, touchInsert, touchMerge, touchUpdate } from './touch-write.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] }

/** Names that WITH defines here; they hide tables. */
export type Env = ReadonlySet<string>
const NO_NAMES: Env = new Set()

/** Volatile C functions of common extensions that only make values. */
const HARMLESS =
  /^(uuid_generate_|gen_random_|gen_salt|crypt$|digest$|hmac$|similarity$|word_similarity$|unaccent$|st_)/

/** System views and tables: they change with DDL only, which is a barrier anyway. */
const SYSTEM = /^(pg_|information_schema$)/

/** Every user function and every view is looked into once. */
export class TouchReader {
  readonly index: CatalogIndex
  readonly #searchPath: readonly string[] | null
  readonly #byText = new Map<string, Touch>()
  readonly #reaching = new Set<number>()
  /** What functions touch, looked into from outside of any other. */
  readonly #reached = new Map<number, Touch>()

  constructor(index: CatalogIndex, searchPath: readonly string[] | null = null) {
    this.index = index
    this.#searchPath = searchPath
  }

  /** Cached by text: the parser costs tens of microseconds. */
  touch(sql: string): Touch {
    const known = this.#byText.get(sql)
    if (known) return known
    if (this.#byText.size >= 20_000) this.#byText.clear()
    const touch = this.#read(sql)
    this.#byText.set(sql, touch)
    return touch
  }

  touchOf(node: Node): Touch {
    const walk = new Walk(this, node)
    walk.statement(node)
    return walk.finish([node], controlOf(node, this))
  }

  resolve(schema: string | undefined, name: string): Relation | undefined {
    if (schema !== undefined || this.#searchPath === null) return this.index.byName(schema || undefined, name)
    for (const path of this.#searchPath) {
      const found = this.index.byName(path, name)
      if (found) return found
    }
    return undefined
  }

  /** Runs `look` unless that function is being looked into already (recursion adds nothing). */
  once(oid: number, look: () => void): void {
    if (this.#reaching.has(oid)) return
    this.#reaching.add(oid)
    look()
    this.#reaching.delete(oid)
  }

  /** What a function touches. Within another, what that one touches already is not looked at again: only from outside it is the whole. */
  reach(oid: number, look: () => Touch, take: (touch: Touch) => void): void {
    const known = this.#reaching.size === 0 ? this.#reached.get(oid) : undefined
    if (known !== undefined) {
      take(known)
      return
    }
    this.once(oid, () => {
      const isWhole = this.#reaching.size === 1
      const touch = look()
      if (isWhole) this.#reached.set(oid, touch)
      take(touch)
    })
  }

  #read(sql: string): Touch {
    if (/^[\s;]*$/.test(sql)) return TOUCHES_NOTHING
    const statements = parse(sql)
    if (statements === null) return TOUCHES_NOTHING // The server refuses it too.
    const nodes = statements.flatMap((statement) => (statement.stmt ? [statement.stmt] : []))
    if (nodes.length === 1) return this.touchOf(nodes[0]!)
    const walk = new Walk(this)
    for (const node of nodes) walk.statement(node)
    return walk.finish(nodes, null)
  }
}

/** Gathers the touches of one statement. */
export class Walk {
  readonly reader: TouchReader
  readonly #touch: Mutable<Touch>
  /** The statement that the answer is of; null inside of what it calls or fires. */
  readonly #own: Node | null

  constructor(reader: TouchReader, own: Node | null = null) {
    this.reader = reader
    this.#own = own
    this.#touch = {
      accesses: [],
      strangers: [],
      draws: [],
      advisory: [],
      everything: null,
      chains: [],
      control: null,
      timeDefaults: [],
      looksAtTimes: false,
    }
  }

  finish(nodes: readonly Node[], control: Touch['control']): Touch {
    // Looked at twice, a relation's columns in the answer may be of either look.
    const looks = new Map<number, number>()
    for (const { relation, mode } of this.#touch.accesses)
      if (mode === 'read') looks.set(relation, (looks.get(relation) ?? 0) + 1)
    const accesses = this.#touch.accesses.map((access) =>
      access.answers && !isWrite(access.mode) && looks.get(access.relation) !== 1
        ? { ...access, answers: false }
        : access,
    )
    const relations = accesses.flatMap(({ relation }) => this.reader.index.byOid(relation) ?? [])
    const times = this.#touch.looksAtTimes || nodes.some((node) => looksAtTimes(node, relations))
    return { ...this.#touch, accesses, control, looksAtTimes: times }
  }

  /** This is the statement that the answer is of. */
  isOwn(statement: object): boolean {
    return this.#own !== null && Object.values(this.#own)[0] === statement
  }

  add(access: Partial<Access> & Pick<Access, 'relation' | 'mode'>): void {
    this.#touch.accesses.push({
      rows: [],
      given: [],
      observesLocks: false,
      pick: null,
      counted: false,
      answers: false,
      atCommit: false,
      ...access,
    })
  }

  everything(why: string): void {
    this.#touch.everything ??= why
  }

  stranger(name: string, writes: boolean): void {
    this.#touch.strangers.push({ name, writes })
  }

  draw(sequenceOid: number): void {
    if (!this.#touch.draws.includes(sequenceOid)) this.#touch.draws.push(sequenceOid)
  }

  chain(chain: Touch['chains'][number]): void {
    this.#touch.chains.push(chain)
  }

  timeDefault(relation: number): void {
    if (!this.#touch.timeDefaults.includes(relation)) this.#touch.timeDefaults.push(relation)
  }

  statement(node: Node, env: Env = NO_NAMES): void {
    if ('SelectStmt' in node) this.select(node.SelectStmt, env)
    else if ('InsertStmt' in node) touchInsert(this, node.InsertStmt, env)
    else if ('UpdateStmt' in node) touchUpdate(this, node.UpdateStmt, env)
    else if ('DeleteStmt' in node) touchDelete(this, node.DeleteStmt, env)
    else if ('MergeStmt' in node) touchMerge(this, node.MergeStmt, env)
    else if ('CopyStmt' in node) touchCopy(this, node.CopyStmt, env)
    else if ('ExplainStmt' in node || 'DeclareCursorStmt' in node || 'CallStmt' in node) this.walk(node, env)
    else if (endsPrepared(node)) this.everything('it ends a prepared transaction, which may have written anything')
    else if (isHarmless(node)) return
    else {
      this.everything(`${Object.keys(node)[0]?.replace(/Stmt$/, '') ?? 'unknown statement'} may touch everything`)
      this.#names(node)
    }
  }

  /** WITH: its queries are walked, its names hide tables from here on. */
  with(clause: { ctes?: Node[]; recursive?: boolean } | undefined, env: Env): Env {
    if (!clause?.ctes) return env
    const names = new Set(env)
    const ctes = clause.ctes.flatMap((cte) => ('CommonTableExpr' in cte ? [cte.CommonTableExpr] : []))
    if (clause.recursive) for (const cte of ctes) names.add(cte.ctename ?? '')
    for (const cte of ctes) {
      if (cte.ctequery) this.statement(cte.ctequery, names)
      names.add(cte.ctename ?? '')
    }
    return names
  }

  select(select: SelectStmt, outer: Env): void {
    const env = this.with(select.withClause, outer)
    for (const side of [select.larg, select.rarg]) if (side) this.select(side, env)
    const { items, bindings } = this.from(select.fromClause ?? [], env, select.whereClause)
    const locks = (select.lockingClause ?? []).flatMap((lock) => ('LockingClause' in lock ? [lock.LockingClause] : []))
    for (const item of items) {
      if (!item.relation) continue
      const lock = locks.find(
        ({ lockedRels }) =>
          !lockedRels || lockedRels.some((rel) => 'RangeVar' in rel && rel.RangeVar.relname === item.alias),
      )
      const rows = bindings.keys(item)
      // OFFSET passes by rows that are locked all the same.
      const answers = this.isOwn(select) && select.limitOffset === undefined
      this.read(item.relation, rows, answers)
      if (!lock) continue
      const observesLocks = lock.waitPolicy === 'LockWaitSkip' || lock.waitPolicy === 'LockWaitError'
      const mode = lockMode(lock.strength)
      const pick = lock.waitPolicy === 'LockWaitSkip' ? pickOf(select) : null
      this.add({ relation: this.rootOid(item.relation), mode, rows, observesLocks, pick, answers })
    }
    for (const part of [
      select.targetList,
      select.whereClause,
      select.groupClause,
      select.havingClause,
      select.windowClause,
      select.valuesLists,
      select.sortClause,
      select.limitOffset,
      select.limitCount,
      select.distinctClause,
    ])
      this.walk(part, env)
    if (select.intoClause?.rel?.relname) {
      this.everything('SELECT INTO creates a table')
      this.stranger(select.intoClause.rel.relname, true)
    }
  }

  /** Resolves FROM and says which keys the conditions bind. `target` comes first: the table that UPDATE or DELETE writes. */
  from(
    nodes: readonly Node[],
    env: Env,
    where: Node | undefined,
    target?: FromItem,
  ): { items: FromItem[]; bindings: Bindings } {
    const conditions: Node[] = []
    const usings: [FromItem[], FromItem[], string][] = []
    const items = nodes.flatMap((node) => this.#item(node, env, conditions, usings, true))
    const bindings = new Bindings(target ? [target, ...items] : items)
    for (const condition of conditions) bindings.condition(condition)
    bindings.condition(where)
    for (const using of usings) bindings.using(...using)
    return { items, bindings }
  }

  #item(
    node: Node,
    env: Env,
    conditions: Node[],
    usings: [FromItem[], FromItem[], string][],
    inner: boolean,
  ): FromItem[] {
    if ('RangeVar' in node) {
      const { schemaname, relname = '', alias } = node.RangeVar
      const name = alias?.aliasname ?? relname
      if (schemaname === undefined && env.has(relname)) return [{ alias: name, relation: null }]
      const relation = this.relation(schemaname, relname, false)
      return [{ alias: name, relation: relation ?? null }]
    }
    if ('JoinExpr' in node) {
      const { larg, rarg, quals, usingClause, jointype } = node.JoinExpr
      const isInner = inner && (jointype === undefined || jointype === 'JOIN_INNER')
      const left = larg ? this.#item(larg, env, conditions, usings, isInner) : []
      const right = rarg ? this.#item(rarg, env, conditions, usings, isInner) : []
      if (quals) this.walk(quals, env)
      if (quals && isInner) conditions.push(quals)
      if (isInner)
        for (const column of usingClause ?? [])
          if ('String' in column) usings.push([left, right, column.String.sval ?? ''])
      return [...left, ...right]
    }
    if ('RangeSubselect' in node) {
      if (node.RangeSubselect.subquery) this.statement(node.RangeSubselect.subquery, env)
      return [{ alias: node.RangeSubselect.alias?.aliasname ?? '', relation: null }]
    }
    this.walk(node, env)
    return [{ alias: '', relation: null }]
  }

  /** A table by name, its partition root in its stead; a stranger is noted. */
  relation(schema: string | undefined, name: string, writes: boolean): Relation | undefined {
    const found = this.reader.resolve(schema, name)
    if (found) return this.reader.index.root(found)
    if (!SYSTEM.test(schema ?? name)) this.stranger(name, writes)
    return undefined
  }

  rootOid(relation: Relation): number {
    return this.reader.index.root(relation).oid
  }

  /** Reading a view reads what it is made of. */
  read(relation: Relation, rows: Access['rows'], answers = false): void {
    if (relation.kind !== 'view') {
      this.add({ relation: this.rootOid(relation), mode: 'read', rows, answers })
      return
    }
    this.reader.once(relation.oid, () => {
      for (const statement of relation.viewSql === null ? [] : (this.reader.index.parsed(relation.viewSql) ?? []))
        if (statement.stmt) this.statement(statement.stmt)
    })
  }

  /** Any part of a tree: subqueries and functions in it count, plain expressions do not. */
  walk(value: unknown, env: Env): void {
    if (Array.isArray(value)) {
      for (const item of value) this.walk(item, env)
      return
    }
    if (typeof value !== 'object' || value === null) return
    for (const [name, child] of Object.entries(value)) {
      if (name === 'SelectStmt') this.select(child as SelectStmt, env)
      else if (name === 'InsertStmt' || name === 'UpdateStmt' || name === 'DeleteStmt' || name === 'MergeStmt')
        this.statement({ [name]: child } as Node, env)
      else {
        if (name === 'FuncCall') this.#call(child as { funcname?: Node[]; args?: Node[] })
        if (name === 'RangeVar') this.#item({ RangeVar: child } as Node, env, [], [], false)
        if (typeof child === 'object') this.walk(child, env)
      }
    }
  }

  #call(call: { funcname?: Node[]; args?: Node[] }): void {
    const names = (call.funcname ?? []).map((part) => ('String' in part ? (part.String.sval ?? '') : ''))
    const name = names.at(-1) ?? ''
    const schema = names.length > 1 ? names.at(-2) : undefined
    if (schema === undefined || schema === 'pg_catalog') this.#builtin(name, call.args ?? [])
    for (const fn of this.reader.index.functions(schema, name)) this.reach(fn.oid)
  }

  #builtin(name: string, args: readonly Node[]): void {
    if (name === 'nextval' || name === 'setval') this.#drawByName(args[0])
    else if (/^pg_(try_)?advisory_/.test(name)) {
      this.#touch.advisory.push({ key: values(args), releases: name.includes('unlock') })
    } else if (/^(lo_|pg_large_object)/.test(name)) this.stranger('pg_largeobject', true)
    else if (/^(dblink|pg_terminate_backend|pg_cancel_backend)/.test(name))
      this.everything(`${name} reaches other sessions`)
  }

  #drawByName(argument: Node | undefined): void {
    const text = argument ? values([argument])?.[0] : undefined
    const sequence = text?.kind === 'constant' ? this.#sequence(text.text) : undefined
    if (sequence) this.draw(sequence.oid)
    else this.everything('a sequence whose name is computed')
  }

  #sequence(name: string): Relation | undefined {
    const parts = name.split('.').map((part) => (part.startsWith('"') ? part.slice(1, -1) : part.toLowerCase()))
    return this.reader.resolve(parts.length > 1 ? parts[0] : undefined, parts.at(-1) ?? '')
  }

  /** A user's function: what its body names, without rows. */
  reach(functionOid: number): void {
    const fn = this.reader.index.functionByOid(functionOid)
    if (!fn) return
    if (fn.language === 'c' || fn.language === 'internal') {
      if (fn.volatility === 'volatile' && !HARMLESS.test(fn.name))
        this.everything(`function ${fn.name} cannot be looked into`)
      return
    }
    this.reader.reach(
      fn.oid,
      () => this.#inside(fn),
      (touch) => this.#absorb(touch),
    )
  }

  #inside(fn: CatalogFunction): Touch {
    const body = this.reader.index.body(fn)
    const inner = new Walk(this.reader)
    if (body === null) inner.everything(`function ${fn.name} cannot be looked into`)
    for (const node of body ?? []) inner.statement(node)
    return inner.finish(body ?? [], null)
  }

  /** Takes over what a body touches; its keys mean its own variables, so they are dropped. */
  #absorb(touch: Touch): void {
    for (const access of touch.accesses) {
      const given = access.given.map((key) => ({ ...key, values: isFresh(key.values) ? key.values : [] }))
      this.add({ ...access, rows: [], given, pick: null, counted: false, answers: false })
    }
    for (const { name, writes } of touch.strangers) if (name !== 'new' && name !== 'old') this.stranger(name, writes)
    for (const oid of touch.draws) this.draw(oid)
    for (const oid of touch.timeDefaults) this.timeDefault(oid)
    if (touch.looksAtTimes) this.#touch.looksAtTimes = true
    for (const advisory of touch.advisory) this.#touch.advisory.push({ ...advisory, key: null })
    if (touch.everything) this.everything(touch.everything)
  }

  #dropped(objects: readonly Node[]): void {
    for (const object of objects) {
      const last = 'List' in object ? object.List.items?.at(-1) : undefined
      this.stranger(last && 'String' in last ? (last.String.sval ?? '') : '', true)
    }
  }

  /** Relations a utility statement names: a DDL on the session's own temporary tables concerns nobody else. */
  #names(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) this.#names(item)
    else if (typeof value === 'object' && value !== null)
      for (const [name, child] of Object.entries(value)) {
        if (name === 'DropStmt') this.#dropped((child as { objects?: Node[] }).objects ?? [])
        else if (name === 'RangeVar' || name === 'relation')
          this.stranger((child as { relname?: string }).relname ?? '', true)
        this.#names(child)
      }
  }
}

export function isFresh(key: readonly (readonly { kind: string }[])[]): boolean {
  return key.some((alternatives) => alternatives.some((value) => value.kind === 'fresh'))
}

function lockMode(strength: LockingClause['strength']): Access['mode'] {
  if (strength === 'LCS_FORKEYSHARE') return 'key-share'
  return strength === 'LCS_FORUPDATE' ? 'lock' : 'hold'
}

function pickOf(select: SelectStmt): Access['pick'] {
  const first = select.sortClause?.[0]
  if (!first || !('SortBy' in first) || !first.SortBy.node || !('ColumnRef' in first.SortBy.node)) return null
  const last = first.SortBy.node.ColumnRef.fields?.at(-1)
  if (!last || !('String' in last)) return null
  return { column: last.String.sval ?? '', descending: first.SortBy.sortby_dir === 'SORTBY_DESC' }
}

const HARMLESS_STATEMENTS = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'ListenStmt',
  'UnlistenStmt',
  'NotifyStmt',
  'DiscardStmt',
  'DeallocateStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'ConstraintsSetStmt',
  'CheckPointStmt',
  'VacuumStmt',
  'LoadStmt',
])

/** What COMMIT PREPARED makes visible was written in another transaction, perhaps in another session. */
function endsPrepared(node: Node): boolean {
  return 'TransactionStmt' in node && /_PREPARED$/.test(node.TransactionStmt.kind ?? '')
}

function isHarmless(node: Node): boolean {
  return Object.keys(node).every((name) => HARMLESS_STATEMENTS.has(name))
}
