/**
 * What a migration forgot: constraints, indexes, defaults, triggers and the order they fire in, views, functions, types, row security,
 * privileges, comments and sequences of what has the same name on both sides.
 *
 * Compared by what they say, not by what they are called: an index under another name is the same index. What the second side has
 * beyond the first is told, and is no fault: adding things is what migrations do.
 */
import type pg from 'pg'
import type { SchemaChange, SchemaFact, SchemaKind, SchemaState } from '../../segment/state.js'
import { FACTS, OBJECTS, SEQUENCES, TRIGGERS } from './verify-schema-sql.js'

type ReadFact = Omit<SchemaFact, 'called'> & {
  readonly called: string | null
  /** What the object says one thing about; null: it may say several of the kind. */
  readonly key: string | null
  /** Table that a foreign key leads to. */
  readonly refers: string | null
}

type Client = Pick<pg.Client, 'query'>

/** Names come qualified from everything that PostgreSQL spells out itself. */
const QUALIFIED = `SET LOCAL search_path = ''`
/** What a migration may well write anew on purpose. */
const REWRITTEN: ReadonlySet<string> = new Set(['query', 'body'])

export async function compareSchemas(before: Client, after: Client): Promise<SchemaState> {
  const [a, b] = [await readSchema(before), await readSchema(after)]
  const isShared = (object: string) => a.objects.has(object) && a.objects.get(object) === b.objects.get(object)
  const isComparable = ({ object, refers }: ReadFact) => isShared(object) && (refers === null || isShared(refers))
  const several = ({ key }: ReadFact) => key === null
  const [factsBefore, factsAfter] = [a.facts.filter(isComparable), b.facts.filter(isComparable)]
  const leadAway = a.facts.filter((fact) => isShared(fact.object) && !isComparable(fact))
  const gone = [...a.objects].filter(([object]) => !isShared(object)).sort()
  return {
    missing: [
      ...gone.flatMap(([object, kind]) => (b.objects.has(object) ? [] : missingObject(object, kind))),
      ...without(factsBefore.filter(several), factsAfter.filter(several)),
    ],
    changed: [...changes(factsBefore, factsAfter), ...otherOrder(a.triggers, b.triggers)],
    added: without(factsAfter.filter(several), factsBefore.filter(several)),
    behind: [...a.sequences].flatMap(([sequence, { value, ascends }]) => {
      const there = b.sequences.get(sequence)
      if (there === undefined) return []
      const isBehind = ascends ? BigInt(there.value) < BigInt(value) : BigInt(there.value) > BigInt(value)
      return isBehind ? [{ sequence, before: value, after: there.value }] : []
    }),
    notCompared: [
      ...gone.filter(([object, kind]) => b.objects.has(object) || missingObject(object, kind).length === 0).map(named),
      ...leadAway.map(({ object, text }) => `${object}: ${text}`),
    ],
  }
}

function named([object]: readonly [string, string]): string {
  return object
}

/** Functions, views and types that applications may name. Tables are compared by their rows, which the mapping may have moved. */
function missingObject(object: string, kind: string): SchemaFact[] {
  const kinds: Readonly<Record<string, SchemaKind>> = { function: 'function', v: 'view', m: 'view', type: 'type' }
  const known = kinds[kind]
  return known === undefined ? [] : [{ object, kind: known, text: 'is not there' }]
}

type Schema = {
  /** By name, what it is. */
  readonly objects: ReadonlyMap<string, string>
  readonly facts: readonly ReadFact[]
  readonly triggers: ReadonlyMap<string, readonly string[]>
  readonly sequences: ReadonlyMap<string, { readonly value: string; readonly ascends: boolean }>
}

async function readSchema(client: Client): Promise<Schema> {
  await client.query(QUALIFIED)
  const { rows: objects } = await client.query<{ name: string; kind: string }>(OBJECTS)
  const { rows: facts } = await client.query<ReadFact>(FACTS)
  const { rows: triggers } = await client.query<{ object: string; type: number; text: string }>(TRIGGERS)
  const { rows: sequences } = await client.query<{ name: string; value: string; ascends: boolean }>(SEQUENCES)
  const fired = new Map<string, string[]>()
  for (const { object, type, text } of triggers)
    for (const moment of moments(type)) {
      const key = JSON.stringify([object, moment])
      fired.set(key, [...(fired.get(key) ?? []), text])
    }
  return {
    // A partitioned table is a table.
    objects: new Map(objects.map(({ name, kind }) => [name, kind === 'p' ? 'r' : kind])),
    facts,
    triggers: fired,
    sequences: new Map(sequences.map(({ name, ...rest }) => [name, rest])),
  }
}

/** The bits of pg_trigger.tgtype. */
const ROW = 1
const BEFORE = 2
const INSTEAD = 64
const EVENTS = { insert: 4, delete: 8, update: 16, truncate: 32 }

function moments(type: number): readonly string[] {
  const when = (type & BEFORE) !== 0 ? 'before' : (type & INSTEAD) !== 0 ? 'instead of' : 'after'
  const each = (type & ROW) !== 0 ? 'each row' : 'the statement'
  return Object.entries(EVENTS).flatMap(([event, bit]) => ((type & bit) === 0 ? [] : [`${when} ${event} of ${each}`]))
}

/** The same triggers, fired one before the other: PostgreSQL goes by their names. */
function otherOrder(before: Schema['triggers'], after: Schema['triggers']): SchemaChange[] {
  return [...before].flatMap(([key, list]) => {
    const there = after.get(key) ?? []
    const shared = list.filter((text) => there.includes(text))
    const sharedThere = there.filter((text) => list.includes(text))
    if (shared.length !== sharedThere.length || shared.every((text, at) => text === sharedThere[at])) return []
    const [object, moment] = JSON.parse(key) as [string, string]
    const inWords = (texts: readonly string[]) => `${moment}: ${texts.join(', then ')}`
    return [
      {
        object,
        kind: 'trigger order' as const,
        before: inWords(shared),
        after: inWords(sharedThere),
        rewritten: false,
      },
    ]
  })
}

function changes(before: readonly ReadFact[], after: readonly ReadFact[]): SchemaChange[] {
  const keyOf = ({ object, kind, key }: ReadFact) => JSON.stringify([object, kind, key])
  const there = new Map(after.filter(({ key }) => key !== null).map((fact) => [keyOf(fact), fact.text]))
  return before.flatMap((fact) => {
    const text = fact.key === null ? undefined : there.get(keyOf(fact))
    if (text === undefined || text === fact.text) return []
    const { object, kind } = fact
    return [{ object, kind, before: fact.text, after: text, rewritten: REWRITTEN.has(fact.key ?? '') }]
  })
}

/** What stands in `all` and not in `others`, counted: two equal indexes of which one is left are one missing. */
function without(all: readonly ReadFact[], others: readonly ReadFact[]): SchemaFact[] {
  const left = new Map<string, number>()
  for (const fact of others) left.set(keyOf(fact), (left.get(keyOf(fact)) ?? 0) + 1)
  const found = all.filter((fact) => {
    const count = left.get(keyOf(fact)) ?? 0
    left.set(keyOf(fact), count - 1)
    return count <= 0
  })
  return found.map(({ object, kind, text, called }) => ({
    object,
    kind,
    text,
    ...(called == null ? {} : { called }),
  }))
}

function keyOf({ object, kind, text }: Pick<SchemaFact, 'object' | 'kind' | 'text'>): string {
  return JSON.stringify([object, kind, text])
}
