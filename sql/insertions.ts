/**
 * Which tables does a text insert rows into, and are the rows that it returns of them surely made by it?
 *
 * Only a row that a statement has made can say what was generated for it. A row that is read may be another one than it was, and an
 * upsert returns a row that was there already as readily as a new one.
 */
import type { RawStmt } from 'libpg-query'
import type { CatalogIndex } from './relations.js'
import { list, type TreeNode, unwrap, walk } from './tree-walk.js'

export type Insertion = {
  /** Whatever it returns of this table was not there before. */
  readonly surelyNew: boolean
  /** Its rows are returned one for one, in the order in which the text gives them. */
  readonly asGiven: boolean
  /** None of its rows may be left out for one that is there already. */
  readonly complete: boolean
  /** Columns that it names; null: it gives all that there are, or nobody knows which. */
  readonly given: readonly string[] | null
}

/** By oid of the table. */
export function insertionsOf(
  statements: readonly Pick<RawStmt, 'stmt'>[],
  index: CatalogIndex,
): ReadonlyMap<number, Insertion> {
  const found = new Map<number, Insertion>()
  const note = (target: unknown, insertion: Insertion) => {
    const { schemaname, relname } = (target ?? {}) as { schemaname?: string; relname?: string }
    const relation = index.byName(schemaname, relname ?? '')
    if (relation === undefined) return
    const other = found.get(relation.oid)
    found.set(relation.oid, {
      surelyNew: insertion.surelyNew && other?.surelyNew !== false,
      // Of two insertions into one table nobody knows whose rows are shown.
      asGiven: insertion.asGiven && other === undefined,
      complete: insertion.complete && other === undefined,
      given: other === undefined ? insertion.given : null,
    })
  }
  for (const { stmt } of statements)
    walk(stmt, ({ kind, body }) => {
      if (kind === 'InsertStmt') note(body.relation, insertion(body))
      if (kind === 'MergeStmt' && mayInsert(body))
        note(body.relation, { surelyNew: false, asGiven: false, complete: false, given: null })
      return undefined
    })
  return found
}

/**
 * What was inserted where a value of a column comes from: the column's own row or, for a foreign key that is written beside the row it
 * points at, that row. undefined: it may be of any row.
 */
export function insertionBehind(
  insertions: ReadonlyMap<number, Insertion>,
  { tableOid, ownerOid, owns }: { readonly tableOid: number; readonly ownerOid: number; readonly owns: boolean },
): Insertion | undefined {
  if (owns) return insertions.get(tableOid)
  // Within one table it may as well be a row's parent.
  const pointedAt = insertions.has(tableOid) && tableOid !== ownerOid ? insertions.get(ownerOid) : undefined
  return pointedAt?.surelyNew ? { ...pointedAt, asGiven: false } : undefined
}

function insertion(body: TreeNode['body']): Insertion {
  const conflict = body.onConflictClause as { action?: string } | undefined
  const source = unwrap(body.selectStmt)
  const rows = source === null ? 1 : list(source.body, 'valuesLists').length
  const complete = conflict === undefined || rows === 1
  const rowsGiven = source === null ? [] : list(source.body, 'valuesLists').map((row) => unwrap(row)?.body ?? {})
  const isDefault = (at: number) =>
    rowsGiven.length > 0 && rowsGiven.every((row) => unwrap(list(row, 'items')[at])?.kind === 'SetToDefault')
  const names = list(body, 'cols')
    .map((target) => String(unwrap(target)?.body.name ?? ''))
    .filter((_, at) => !isDefault(at))
  return {
    surelyNew: conflict?.action !== 'ONCONFLICT_UPDATE',
    asGiven: rows > 0 && complete,
    complete,
    // Without a list the columns are given by their places; DEFAULT VALUES gives none.
    given: list(body, 'cols').length > 0 ? names : source === null ? [] : null,
  }
}

function mayInsert(body: TreeNode['body']): boolean {
  return list(body, 'mergeWhenClauses').some((clause) => unwrap(clause)?.body.commandType === 'CMD_INSERT')
}
