/**
 * Words that are the schema's or the language's and therefore nobody's: they may stand in errors and in texts the parser refused.
 */
import type { Catalog } from '../segment/catalog.js'
import { isKeyword } from '../sql/keywords.js'

export type Vocabulary = {
  /** A keyword, a name of the schema, a word of its functions' sources. */
  knows(word: string): boolean
  /** A name of the schema or a label of an enum, letter by letter. */
  isSchemaWord(word: string): boolean
  /** A word that the functions of the schema hold: what RAISE may say. */
  inFunctions(word: string): boolean
}

/** Words of built-in types and of the server's own messages that are no keywords. */
const SERVER_WORDS = new Set(
  'int2 int4 int8 float4 float8 bool text bytea uuid json jsonb date timestamptz timetz money oid inet cidr macaddr tsvector tsquery xml regclass public pg_catalog information_schema excluded old new utf8 sql_ascii'.split(
    ' ',
  ),
)

export function createVocabulary(catalog: Catalog): Vocabulary {
  const names = new Set<string>([catalog.database, ...catalog.searchPath])
  const labels = new Set<string>()
  for (const relation of catalog.relations) {
    names.add(relation.schema)
    names.add(relation.name)
    names.add(`${relation.schema}.${relation.name}`)
    for (const column of relation.columns) names.add(column.name)
    for (const unique of relation.uniques) names.add(unique.name)
    for (const key of relation.foreignKeys) names.add(key.name)
    for (const trigger of relation.triggers) names.add(trigger.name)
  }
  for (const type of catalog.types) {
    names.add(type.name)
    for (const label of type.labels) labels.add(label)
    for (const attribute of type.attributes) names.add(attribute.name)
  }
  const inSources = new Set<string>()
  for (const fn of catalog.functions) {
    names.add(fn.name)
    for (const word of fn.source?.match(/[\p{L}\p{N}_]+/gu) ?? []) inSources.add(word.toLowerCase())
  }
  return {
    knows: (word) =>
      names.has(word) || names.has(word.toLowerCase()) || SERVER_WORDS.has(word.toLowerCase()) || isKeyword(word),
    isSchemaWord: (word) => names.has(word) || labels.has(word),
    inFunctions: (word) => inSources.has(word.toLowerCase()),
  }
}
