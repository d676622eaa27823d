/**
 * The catalog of a live database, read once when a recording or a snapshot begins, so that planning, masking and
 * comparison can work offline afterwards. Servers 12 to 18.
 *
 * Read with an empty search path, so that every name in a view, default or rule comes out qualified and means the same
 * to whoever reads it later. Members of extensions stand in the catalog like everything else, except that the bodies of
 * their functions stay closed: whatever language they are written in, they count as `c`.
 */
import type {
  Catalog,
  CatalogColumn,
  CatalogFunction,
  CatalogType,
  ForeignKey,
  ForeignKeyAction,
  Relation,
  RelationKind,
  SequencePosition,
  Trigger,
  UniqueKey,
} from '../segment/catalog.js'
import type { ServerFacts } from '../segment/manifest.js'
import * as ask from './catalog-queries.js'

/** Any client will do: a `pg.Client`, or a hand-made one that only knows text. */
export type CatalogClient = {
  query(sql: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

export async function readCatalog(client: CatalogClient): Promise<Catalog> {
  const [scope] = await rowsOf<Pick<Catalog, 'database' | 'serverVersionNum' | 'searchPath'>>(client, ask.SCOPE)
  const before = await client.query(`SELECT current_setting('search_path') AS path`)
  await client.query(`SELECT set_config('search_path', '', false)`)
  try {
    return { ...scope!, ...(await readObjects(client, scope!.serverVersionNum)) }
  } finally {
    // In a transaction that failed, this fails as well, and the rollback restores the path.
    await client.query(`SELECT set_config('search_path', $1, false)`, [before.rows[0]!.path]).catch(() => {})
  }
}

export type CheckConstraint = {
  readonly relation: number
  readonly columns: readonly number[]
  readonly expression: string
}

/** Of tables; no part of a recording, for only a proposal is made of them. */
export async function readChecks(client: CatalogClient): Promise<CheckConstraint[]> {
  return rowsOf<CheckConstraint>(client, ask.CHECKS)
}

/** The system identifier is empty where the server does not let this user see it; callers who rely on it must say so. */
export async function readServerFacts(client: CatalogClient): Promise<ServerFacts> {
  type Facts = Pick<ServerFacts, 'versionNum' | 'version' | 'database' | 'startLsn'> & { mayIdentify: boolean }
  const [facts] = await rowsOf<Facts>(client, ask.FACTS)
  const { mayIdentify, ...rest } = facts!
  const identity = mayIdentify ? await rowsOf<{ identifier: string }>(client, ask.SYSTEM_IDENTIFIER) : []
  const settings = await rowsOf<{ name: string; setting: string }>(client, ask.SETTINGS)
  const roleSettings = await rowsOf<RoleSetting>(client, ask.ROLE_SETTINGS)
  return {
    ...rest,
    roleSettings,
    systemIdentifier: identity[0]?.identifier ?? '',
    settings: Object.fromEntries(settings.map(({ name, setting }) => [name, setting])),
  }
}

/** The server's clock and ours; of several looks the quickest one knows best. `atMs` is by performance.now(). */
export async function readServerClock(client: CatalogClient): Promise<ClockReading> {
  let best: ClockReading | null = null
  for (let look = 0; look < CLOCK_LOOKS; look += 1) {
    const askedMs = performance.now()
    const [found] = await rowsOf<{ us: string; nextXid: string }>(client, ask.CLOCK)
    const tookMs = performance.now() - askedMs
    const { us, nextXid } = found!
    if (best === null || tookMs * 500 < best.errorUs)
      best = { serverUs: Number(us), atMs: askedMs + tookMs / 2, errorUs: tookMs * 500, nextXid }
  }
  return best!
}

export type ClockReading = {
  readonly serverUs: number
  readonly atMs: number
  readonly errorUs: number
  readonly nextXid: string
}

const CLOCK_LOOKS = 5

type RoleSetting = NonNullable<ServerFacts['roleSettings']>[number]

async function readObjects(
  client: CatalogClient,
  serverVersionNum: number,
): Promise<Pick<Catalog, 'relations' | 'types' | 'functions'>> {
  const relations = await rowsOf<RawRelation>(client, ask.RELATIONS)
  const columns = byRelation(await rowsOf<OfRelation<CatalogColumn>>(client, ask.COLUMNS))
  const uniques = byRelation(await rowsOf<OfRelation<UniqueKey>>(client, ask.UNIQUES))
  const foreignKeys = byRelation(await rowsOf<OfRelation<RawForeignKey>>(client, ask.FOREIGN_KEYS))
  const triggers = byRelation(await rowsOf<OfRelation<RawTrigger>>(client, ask.TRIGGERS))
  const types = await readTypes(client, serverVersionNum)
  const functions = await rowsOf<RawFunction>(client, ask.functions(serverVersionNum))
  const positions = byRelation(await rowsOf<OfRelation<SequencePosition>>(client, ask.POSITIONS))
  const parentOf = new Map(relations.map(({ oid, parents }) => [oid, parents[0]]))
  return {
    relations: relations.map((raw) => ({
      ...raw,
      kind: RELATION_KINDS[raw.kind]!,
      columns: inheritIdentity(columns, parentOf, raw.oid),
      uniques: uniques.get(raw.oid) ?? [],
      foreignKeys: (foreignKeys.get(raw.oid) ?? []).map(foreignKey),
      triggers: (triggers.get(raw.oid) ?? []).map(trigger),
      ...positionOf(positions.get(raw.oid)?.[0]),
    })),
    types,
    functions: functions.map((raw) => ({ ...raw, volatility: VOLATILITIES[raw.volatility]! })),
  }
}

/** What binary values of the users' types are made of. */
export async function readTypes(client: CatalogClient, serverVersionNum: number): Promise<CatalogType[]> {
  const types = await rowsOf<RawType>(client, ask.types(serverVersionNum))
  return types.map(({ isArray, kind, ...rest }) => ({ ...rest, kind: isArray ? 'array' : TYPE_KINDS[kind]! }))
}

/** A position that JSON cannot hold exactly is none. */
function positionOf(found: SequencePosition | undefined): Pick<Relation, 'position'> {
  if (!found) return {}
  const { next, increment } = found
  return { position: { next: next !== null && Number.isSafeInteger(next) ? next : null, increment } }
}

type OfRelation<T> = T & { readonly relation: number }
type RawRelation = Omit<Relation, 'kind' | 'columns' | 'uniques' | 'foreignKeys' | 'triggers'> & {
  readonly kind: string
}
type RawForeignKey = Omit<ForeignKey, 'onUpdate' | 'onDelete'> & {
  readonly onUpdate: string
  readonly onDelete: string
}
type RawTrigger = Pick<Trigger, 'name' | 'functionOid' | 'enabled'> & { readonly bits: number }
type RawType = Omit<CatalogType, 'kind'> & { readonly kind: string; readonly isArray: boolean }
type RawFunction = Omit<CatalogFunction, 'volatility'> & { readonly volatility: string }

const RELATION_KINDS: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'matview',
  f: 'foreign',
  S: 'sequence',
  c: 'composite',
}

const TYPE_KINDS: Readonly<Record<string, CatalogType['kind']>> = {
  b: 'base',
  e: 'enum',
  d: 'domain',
  c: 'composite',
  r: 'range',
  m: 'multirange',
  p: 'pseudo',
}

const VOLATILITIES: Readonly<Record<string, CatalogFunction['volatility']>> = {
  i: 'immutable',
  s: 'stable',
  v: 'volatile',
}

const ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
}

function foreignKey(raw: RawForeignKey): ForeignKey {
  return { ...raw, onUpdate: ACTIONS[raw.onUpdate]!, onDelete: ACTIONS[raw.onDelete]! }
}

/** Bits of pg_trigger.tgtype. */
const BEFORE = 2
const INSTEAD = 64
const EVENTS = [
  [4, 'insert'],
  [16, 'update'],
  [8, 'delete'],
  [32, 'truncate'],
] as const

function trigger({ bits, ...rest }: RawTrigger): Trigger {
  const timing = bits & INSTEAD ? 'instead' : bits & BEFORE ? 'before' : 'after'
  return { ...rest, timing, events: EVENTS.filter(([bit]) => bits & bit).map(([, event]) => event) }
}

/** From version 17 a partition's identity column draws from the sequence of the table it is a partition of. */
function inheritIdentity(
  columns: ReadonlyMap<number, CatalogColumn[]>,
  parentOf: ReadonlyMap<number, number | undefined>,
  relation: number,
): CatalogColumn[] {
  return (columns.get(relation) ?? []).map((column) => {
    let { sequenceOid } = column
    let parent = parentOf.get(relation)
    while (column.identity !== '' && sequenceOid === 0 && parent !== undefined) {
      sequenceOid = columns.get(parent)?.find(({ name }) => name === column.name)?.sequenceOid ?? 0
      parent = parentOf.get(parent)
    }
    return { ...column, sequenceOid }
  })
}

function byRelation<T>(rows: readonly OfRelation<T>[]): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const { relation, ...rest } of rows) {
    const group = groups.get(relation)
    if (group) group.push(rest as T)
    else groups.set(relation, [rest as T])
  }
  return groups
}

/** Rows travel as JSON text, so the answer is the same whatever type parsers the client has. */
async function rowsOf<T>(client: CatalogClient, sql: string): Promise<T[]> {
  const { rows } = await client.query(`SELECT row_to_json(q)::text AS row FROM (${sql}) q`)
  return rows.map(({ row }) => JSON.parse(String(row)) as T)
}
