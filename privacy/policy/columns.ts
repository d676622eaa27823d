/**
 * The policy laid over a schema: the one rule of every column.
 *
 * Deny by default: a text-like column that nothing names is `text`, JSON is masked inside, network addresses are `ip`; numbers,
 * booleans, times, enums, UUIDs and the rest are kept. Columns that reference each other (foreign keys, partitions, inheritance) share rule and width,
 * or their tokens would not meet: the rule that names most exactly speaks for all of them.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import { CatalogIndex } from '../../sql/relations.js'
import type { Kind } from '../kinds.js'
import { lengthLimit, type TypeClass, type TypeFacts, Types } from '../types.js'
import { nearest } from './nearest.js'
import { type JsonRule, type Policy, type PolicyRule, refused, splitName } from './policy.js'

export type ColumnRule = {
  readonly kind: Kind
  readonly json: readonly JsonRule[]
  /** False: nothing names it, the default of its type applies. */
  readonly named: boolean
  /** Characters that every column of the group has room for. */
  readonly limit: number
}

export type ResolvedPolicy = {
  readonly catalog: Catalog
  readonly index: CatalogIndex
  readonly types: Types
  /** null: not a column of a user's table. */
  ruleOf(tableOid: number, attnum: number): ColumnRule | null
}

type Member = { readonly relation: Relation; readonly column: CatalogColumn; readonly type: TypeFacts }

export function resolvePolicy(policy: Policy, catalog: Catalog): ResolvedPolicy {
  const index = new CatalogIndex(catalog)
  const types = new Types(catalog)
  const members = new Map<string, Member>()
  for (const relation of catalog.relations)
    for (const column of relation.columns)
      members.set(keyOf(relation.oid, column.attnum), { relation, column, type: types.of(column.typeOid) })
  checkNames(policy, [...members.values()])

  const rules = new Map<string, ColumnRule>()
  for (const group of groups(members, index)) {
    const rule = groupRule(policy, group)
    for (const member of group) rules.set(keyOf(member.relation.oid, member.column.attnum), rule)
  }
  return { catalog, index, types, ruleOf: (oid, attnum) => rules.get(keyOf(oid, attnum)) ?? null }
}

export function defaultKind(type: TypeFacts): Kind {
  switch ((type.element ?? type).class) {
    case 'text':
    case 'bytes':
    case 'xml':
    case 'lexemes':
    case 'composite':
    case 'span':
    case 'unknown':
      return 'text'
    case 'json':
    case 'pairs':
      return 'json'
    case 'network':
      return 'ip'
    default:
      return 'keep'
  }
}

function groupRule(policy: Policy, group: readonly Member[]): ColumnRule {
  const limit = Math.min(...group.map(({ column, type }) => lengthLimit(column.typmod, type)))
  let best: { rule: PolicyRule; exactness: number; member: Member } | null = null
  for (const member of group) {
    const name = nameOf(member)
    for (const rule of policy.rules) {
      if (!matches(rule.pattern, name)) continue
      // A glob names many columns of many types; only an exact name insists.
      if (rule.pattern.includes('*') && !fits(rule.kind, (member.type.element ?? member.type).class)) continue
      const exactness = exactnessOf(rule.pattern)
      if (best === null || exactness > best.exactness) best = { rule, exactness, member }
      else if (exactness === best.exactness && rule.kind !== best.rule.kind)
        throw refused(
          policy.file,
          Math.max(rule.line, best.rule.line),
          `\`${rule.pattern}\` and \`${best.rule.pattern}\` (line ${Math.min(rule.line, best.rule.line)}) disagree`,
          best.member === member
            ? 'both name the same column equally exactly'
            : 'one column references the other, so their tokens must be of one kind',
          'Give both the same kind, or remove one.',
        )
    }
  }
  const first = group[0]!
  if (best === null) return { kind: defaultKind(first.type), json: [], named: false, limit }
  for (const { column, type } of group) {
    if (fits(best.rule.kind, (type.element ?? type).class)) continue
    throw refused(
      policy.file,
      best.rule.line,
      `\`${best.rule.kind}\` cannot be a token of \`${best.rule.pattern}\``,
      `${column.name} is ${column.type}`,
      `For this type use ${KINDS_FOR[(type.element ?? type).class].join(' or ')}.`,
    )
  }
  return { kind: best.rule.kind, json: best.rule.json, named: true, limit }
}

const KINDS_FOR: Readonly<Record<TypeClass, readonly Kind[]>> = {
  text: [
    'keep',
    'email',
    'full_name',
    'first_name',
    'phone',
    'address',
    'iban',
    'card',
    'ip',
    'uuid',
    'digits',
    'date_shift',
    'text',
    'json',
    'redact',
  ],
  integer: ['keep', 'digits'],
  number: ['keep', 'digits'],
  boolean: ['keep'],
  time: ['keep', 'date_shift'],
  uuid: ['keep', 'uuid'],
  network: ['keep', 'ip'],
  json: ['keep', 'json', 'text'],
  bytes: ['keep', 'text', 'redact'],
  xml: ['keep', 'text'],
  lexemes: ['keep', 'text'],
  enum: ['keep'],
  array: ['keep'],
  composite: ['keep', 'text'],
  pairs: ['keep', 'json', 'text'],
  span: ['keep', 'text'],
  other: ['keep'],
  unknown: ['keep', 'text', 'redact'],
}

function fits(kind: Kind, type: TypeClass): boolean {
  return KINDS_FOR[type].includes(kind)
}

/** Columns that hold the same values: foreign keys both ways, and partitions with their parents. */
function groups(members: ReadonlyMap<string, Member>, index: CatalogIndex): readonly (readonly Member[])[] {
  const leader = new Map<string, string>([...members.keys()].map((key) => [key, key]))
  const find = (key: string): string => {
    let at = key
    while (leader.get(at) !== at) at = leader.get(at)!
    leader.set(key, at)
    return at
  }
  const join = (a: string, b: string): void => {
    if (members.has(a) && members.has(b)) leader.set(find(a), find(b))
  }
  for (const { relation, column } of members.values()) {
    const own = keyOf(relation.oid, column.attnum)
    for (const key of relation.foreignKeys) {
      const at = key.columns.indexOf(column.attnum)
      if (at >= 0) join(own, keyOf(key.referencedOid, key.referencedColumns[at]!))
    }
    for (const parent of relation.parents) {
      const above = index.byOid(parent)?.columns.find((other) => other.name === column.name)
      if (above !== undefined) join(own, keyOf(parent, above.attnum))
    }
  }
  const byLeader = new Map<string, Member[]>()
  for (const [key, member] of members) {
    const found = byLeader.get(find(key))
    if (found === undefined) byLeader.set(find(key), [member])
    else found.push(member)
  }
  return [...byLeader.values()]
}

/** A name without globs that names nothing is a slip of the pen, and the column it meant would get the default. */
function checkNames(policy: Policy, members: readonly Member[]): void {
  const names = members.map(nameOf)
  const known = new Set(names)
  for (const rule of policy.rules) {
    const plain = splitName(rule.pattern).join('.')
    if (rule.pattern.includes('*') || known.has(plain) || names.length === 0) continue
    throw refused(
      policy.file,
      rule.line,
      `\`${rule.pattern}\` is not a column of this database`,
      'a line that names nothing protects nothing',
      `Did you mean \`${nearest(plain, names)}\`?`,
    )
  }
}

function nameOf({ relation, column }: Member): string {
  return `${relation.schema}.${relation.name}.${column.name}`
}

function keyOf(oid: number, attnum: number): string {
  return `${oid} ${attnum}`
}

const compiled = new Map<string, RegExp>()

function matches(pattern: string, name: string): boolean {
  let regex = compiled.get(pattern)
  if (regex === undefined) {
    const escaped = splitName(pattern).map((part) =>
      part.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^.]*'),
    )
    regex = new RegExp(`^${escaped.join('\\.')}$`)
    compiled.set(pattern, regex)
  }
  return regex.test(name)
}

/** Fewer globs first, then more letters: `public.users.email` beats `public.users.*` beats `*.*.email`. */
function exactnessOf(pattern: string): number {
  const globs = (pattern.match(/\*/g) ?? []).length
  return globs === 0 ? Number.POSITIVE_INFINITY : pattern.length - globs * 1000
}
