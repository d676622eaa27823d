/**
 * The one table the privacy bench reads: what a result of five cells comes from.
 */
import { parsePolicy } from '../privacy/policy/policy.js'
import type { Catalog, CatalogColumn } from '../segment/catalog.js'

function column(attnum: number, name: string, typeOid: number, type: string): CatalogColumn {
  return {
    attnum,
    name,
    typeOid,
    type,
    typmod: -1,
    notNull: false,
    default: null,
    identity: '',
    generated: '',
    sequenceOid: 0,
    comment: '',
  }
}

export const benchCatalog: Catalog = {
  database: 'bench',
  serverVersionNum: 180_000,
  searchPath: ['public'],
  relations: [
    {
      oid: 20_000,
      schema: 'public',
      name: 'users',
      kind: 'table',
      persistence: 'p',
      columns: [
        column(1, 'id', 20, 'bigint'),
        column(2, 'email', 25, 'text'),
        column(3, 'full_name', 25, 'text'),
        column(4, 'city', 25, 'text'),
        column(5, 'note', 25, 'text'),
      ],
      uniques: [],
      foreignKeys: [],
      triggers: [],
      rules: [],
      parents: [],
      viewSql: null,
      rowSecurity: false,
    },
  ],
  types: [],
  functions: [],
}

export const benchPolicy = parsePolicy(
  'version: 1\ncolumns:\n  public.users.email: email\n  public.users.full_name: full_name\n  public.users.city: keep\n',
  'bench',
)
