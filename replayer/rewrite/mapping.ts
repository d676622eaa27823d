/**
 * mapping.yaml: what became of the old schema's tables, and what to say in place of single statements. Its form is checked here; whether what
 * it names exists is checked against both catalogs in ./rules.ts.
 *
 * ```yaml
 * version: 1
 * tables:
 *   orders:                               # the old name; a schema in front where it is not on the search path
 *     split: [orders_v2_core, orders_v2_billing]   # they share the key; the first stands for the row
 *   users: people                         # a new name
 *   products:
 *     to: catalog.products
 *     columns:
 *       sku: article_no                   # a new name
 *       price_cents: { to: price, read: price * 100, write: price_cents / 100.0 }
 *       legacy: dropped
 *     added: { region: "'EU'" }           # a new column that needs a value
 *   events:                               # rows in several tables; the last takes what no other does
 *     partition: [{ table: events_open, where: closed_at IS NULL }, { table: events_closed }]
 *   invoices: { to: documents, where: kind = 'invoice', added: { kind: "'invoice'" } }     # merged
 * statements:
 *   - fingerprint: 0123456789abcdef
 *     sql: SELECT …
 *   - pattern: SELECT legacy FROM products WHERE sku = $1
 *     sql: [SET LOCAL …, SELECT …]
 *     result: 2
 * hook: ./rewrite.mjs
 * ```
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { EXIT, HarnessError } from '../../base/errors.js'
import { nearest } from '../../privacy/policy/nearest.js'

const text = z.string().min(1)
const columnSchema = z.union([
  text,
  z.strictObject({
    to: text.optional(),
    read: text.optional(),
    write: text.optional(),
    dropped: z.literal(true).optional(),
  }),
])
const partSchema = z.union([text, z.strictObject({ table: text, key: z.array(text).min(1).optional() })])
const tableSchema = z.union([
  text,
  z.strictObject({
    to: text.optional(),
    split: z.array(partSchema).min(2).max(20).optional(),
    partition: z
      .array(z.strictObject({ table: text, where: text.optional() }))
      .min(2)
      .max(20)
      .optional(),
    key: z.array(text).min(1).optional(),
    where: text.optional(),
    columns: z.record(z.string(), columnSchema).optional(),
    added: z.record(z.string(), z.union([text, z.number(), z.boolean()])).optional(),
  }),
])
const statementSchema = z.strictObject({
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{16}$/, 'is 16 hexadecimal digits, as `rewrite check` prints it')
    .optional(),
  pattern: text.optional(),
  pattern_file: text.optional(),
  sql: z.union([text, z.array(text).min(1).max(20)]),
  result: z.int().min(1).optional(),
})
const mappingSchema = z.strictObject({
  version: z.literal(1),
  tables: z.record(z.string(), tableSchema).nullish(),
  statements: z.array(statementSchema).nullish(),
  hook: text.nullish(),
})

export type ColumnMapping = {
  readonly to?: string
  readonly read?: string
  readonly write?: string
  readonly dropped?: true
}
export type TableMapping = {
  readonly name: string
  readonly to: string | null
  readonly split: readonly { readonly table: string; readonly key: readonly string[] | null }[]
  readonly partition: readonly { readonly table: string; readonly where: string | null }[]
  readonly key: readonly string[] | null
  readonly where: string | null
  readonly columns: ReadonlyMap<string, ColumnMapping>
  readonly added: ReadonlyMap<string, string>
}
export type StatementMapping = {
  readonly fingerprint: string | null
  readonly pattern: string | null
  readonly sql: readonly string[]
  /** From 0. */
  readonly result: number
  readonly line: number
}
export type Mapping = {
  readonly file: string
  readonly tables: readonly TableMapping[]
  readonly statements: readonly StatementMapping[]
  readonly hook: string | null
  readonly hash: string
  /** The line on which something stands: `lineOf('tables', 'orders')`. */
  lineOf(...path: readonly (string | number)[]): number
}

const CHARACTERS_MAX = 2_000_000

export function parseMapping(source: string, file: string): Mapping {
  if (source.length > CHARACTERS_MAX)
    throw mappingFault(file, 1, 'is larger than a mapping can be', '2 MB is the limit')
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false })
  const lineOf = (...path: readonly (string | number)[]): number => {
    for (let depth = path.length; depth > 0; depth--) {
      const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true)
      const last = path[depth - 1]
      const pair = isMap(parent)
        ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last))
        : undefined
      const node = pair?.key ?? document.getIn(path.slice(0, depth), true)
      const range = (node as { range?: readonly number[] | null } | null | undefined)?.range
      if (range?.[0] !== undefined) return lines.linePos(range[0]).line
    }
    return 1
  }
  const broken = document.errors[0]
  if (broken) {
    const isTwice = broken.code === 'DUPLICATE_KEY'
    throw mappingFault(
      file,
      lines.linePos(broken.pos[0]).line,
      isTwice ? 'two rules for one thing' : 'is not valid YAML',
      broken.message.split('\n')[0]!,
    )
  }
  const parsed = mappingSchema.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {})
  if (!parsed.success) throw schemaFault(file, parsed.error.issues[0]!, lineOf)
  const { tables, statements, hook } = parsed.data
  const found = (statements ?? []).map((statement, at) => statementOf(statement, lineOf('statements', at), file))
  const patterns = found.map(({ pattern }) => pattern)
  return {
    file,
    tables: Object.entries(tables ?? {}).map(([name, table]) => tableOf(name, table)),
    statements: found,
    hook: hook ?? null,
    hash: createHash('sha256')
      .update(JSON.stringify([parsed.data, patterns]))
      .digest('hex'),
    lineOf,
  }
}

function tableOf(name: string, table: z.infer<typeof tableSchema>): TableMapping {
  const { to, split, partition, key, where, columns, added } =
    typeof table === 'string' ? ({ to: table } as Exclude<typeof table, string>) : table
  return {
    name,
    to: to ?? null,
    split: (split ?? []).map((part) =>
      typeof part === 'string' ? { table: part, key: null } : { table: part.table, key: part.key ?? null },
    ),
    partition: (partition ?? []).map((one) => ({ table: one.table, where: one.where ?? null })),
    key: key ?? null,
    where: where ?? null,
    columns: new Map(Object.entries(columns ?? {}).map(([column, rule]) => [column, columnOf(rule)])),
    added: new Map(Object.entries(added ?? {}).map(([column, value]) => [column, String(value)])),
  }
}

function columnOf(rule: z.infer<typeof columnSchema>): ColumnMapping {
  if (rule === 'dropped') return { dropped: true }
  if (typeof rule === 'string') return { to: rule }
  const { to, read, write, dropped } = rule
  return {
    ...(to === undefined ? {} : { to }),
    ...(read === undefined ? {} : { read }),
    ...(write === undefined ? {} : { write }),
    ...(dropped === undefined ? {} : { dropped }),
  }
}

function statementOf(statement: z.infer<typeof statementSchema>, line: number, file: string): StatementMapping {
  const { fingerprint, pattern, pattern_file: patternFile, sql, result } = statement
  if ([fingerprint, pattern, patternFile].filter((one) => one !== undefined).length !== 1) {
    throw mappingFault(
      file,
      line,
      'a statement is named by its fingerprint or by a pattern',
      'exactly one of `fingerprint`, `pattern` and `pattern_file` is given',
    )
  }
  const all = typeof sql === 'string' ? [sql] : sql
  const chosen = (result ?? all.length) - 1
  if (chosen >= all.length)
    throw mappingFault(file, line, `result: ${result} names none of the statements`, `there are ${all.length}`)
  const read = patternFile === undefined ? null : readPattern(patternFile, file, line)
  return { fingerprint: fingerprint ?? null, pattern: pattern ?? read, sql: all, result: chosen, line }
}

/** A statement in a file of its own, beside the mapping. */
function readPattern(name: string, file: string, line: number): string {
  try {
    return readFileSync(resolve(dirname(file), name), 'utf8').trim()
  } catch (error) {
    throw mappingFault(
      file,
      line,
      `cannot read the pattern ${name}`,
      (error as NodeJS.ErrnoException).code ?? 'no file',
    )
  }
}

const KNOWN: Readonly<Record<string, readonly string[]>> = {
  '': ['version', 'tables', 'statements', 'hook'],
  tables: ['to', 'split', 'partition', 'key', 'where', 'columns', 'added'],
  columns: ['to', 'read', 'write', 'dropped'],
  split: ['table', 'key'],
  partition: ['table', 'where'],
  statements: ['fingerprint', 'pattern', 'pattern_file', 'sql', 'result'],
}

function schemaFault(file: string, issue: z.core.$ZodIssue, lineOf: Mapping['lineOf']): HarnessError {
  const deepest = deepestOf(issue)
  const path = deepest.path.map((step) => (typeof step === 'number' ? step : String(step)))
  const line = lineOf(...path)
  if (deepest.code === 'unrecognized_keys') {
    const key = deepest.keys[0]!
    const place = path.includes('columns')
      ? 'columns'
      : path.includes('split')
        ? 'split'
        : path.includes('partition')
          ? 'partition'
          : String(path[0] ?? '')
    const known = KNOWN[place] ?? KNOWN['']!
    return mappingFault(
      file,
      lineOf(...path, key),
      `\`${key}\` means nothing here`,
      `known here: ${known.join(', ')}`,
      `Did you mean \`${nearest(key, known)}\`?`,
    )
  }
  if (path[0] === 'version')
    return mappingFault(
      file,
      line,
      'the mapping has no known version',
      'this build reads version 1',
      'Begin the file with `version: 1`.',
    )
  return mappingFault(file, line, `\`${path.join('.')}\` has the wrong form`, deepest.message)
}

/** Of a choice between forms, the complaint that got furthest. */
function deepestOf(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap((errors) =>
    errors.map(
      (error) => ({ ...deepestOf(error), path: [...issue.path, ...deepestOf(error).path] }) as z.core.$ZodIssue,
    ),
  )
  const best = inner.filter(({ code }) => code !== 'invalid_type').sort((a, b) => b.path.length - a.path.length)[0]
  return best ?? inner.sort((a, b) => b.path.length - a.path.length)[0] ?? issue
}

export function mappingFault(file: string, line: number, what: string, why: string, fix?: string): HarnessError {
  return new HarnessError({
    code: 'MAPPING_INVALID',
    message: `${file}:${line}: ${what}`,
    detail: why,
    hint: fix ?? 'Correct the line; `pgrehearse rewrite suggest --from V1 --to V2` prints a mapping to start from.',
    exit: EXIT.usage,
  })
}
