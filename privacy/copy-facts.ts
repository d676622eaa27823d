/**
 * What a COPY statement says of its data: which columns, in which format.
 */
import type { RawStmt } from 'libpg-query'
import { type ColumnRef, relationNamed } from '../sql/columns.js'
import { unwrap, walk } from '../sql/tree-walk.js'
import type { Understanding } from './understanding.js'

export type CopyFacts = {
  readonly direction: 'in' | 'out'
  readonly format: 'text' | 'csv' | 'binary'
  /** Columns in the order of the data; null: those of a query, in `results`. */
  readonly columns: readonly ColumnRef[] | null
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly nullText: string
  readonly header: boolean
}

export function copyFacts({ resolver }: Understanding, statement: RawStmt): CopyFacts | null {
  const node = unwrap(statement.stmt)
  if (node?.kind !== 'CopyStmt') return null
  const { body } = node
  const relation = body.relation as { schemaname?: string; relname?: string } | undefined
  const table =
    relation === undefined ? undefined : relationNamed(resolver.index, relation.schemaname, relation.relname ?? '')
  const names: string[] = []
  for (const item of (body.attlist as unknown[] | undefined) ?? []) {
    const name = unwrap(item)?.body.sval
    if (typeof name === 'string') names.push(name)
  }
  const options = new Map<string, string>()
  for (const item of (body.options as unknown[] | undefined) ?? []) {
    const option = unwrap(item)?.body ?? {}
    let value = ''
    walk(option.arg, (inner) => {
      if (inner.kind === 'String') value = String(inner.body.sval ?? '')
      if (inner.kind === 'Boolean') value = String(inner.body.boolval ?? false)
      return true
    })
    options.set(String(option.defname), value)
  }
  const format = options.get('format') ?? 'text'
  const csv = format === 'csv'
  const header = options.get('header')
  const columns =
    table === undefined
      ? relation === undefined
        ? null
        : []
      : (names.length > 0
          ? names.map((name) => table.columns.find((column) => column.name === name)?.attnum ?? 0)
          : table.columns.filter((column) => column.generated === '').map((column) => column.attnum)
        ).map((attnum) => ({ tableOid: table.oid, attnum }))
  return {
    direction: body.is_from === true ? 'in' : 'out',
    format: format === 'csv' || format === 'binary' ? format : 'text',
    columns,
    delimiter: options.get('delimiter') ?? (csv ? ',' : '\t'),
    quote: options.get('quote') ?? '"',
    escape: options.get('escape') ?? options.get('quote') ?? '"',
    nullText: options.get('null') ?? (csv ? '' : '\\N'),
    header: header !== undefined && !/^(false|off|0)$/i.test(header),
  }
}
