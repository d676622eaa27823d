/**
 * What a statement means, as an application may use it: parse, fingerprint, what it touches. Load the parser once per thread.
 */
export { fingerprint, loadParser, parse } from './parse.js'
export { readCatalog } from './read-catalog.js'
export { CatalogIndex } from './relations.js'
export type { Access, Touch } from './touch.js'
export { TouchReader } from './touch-statement.js'
