/**
 * A policy to start from: every column that may hold something personal, with a kind and the reason for it. A person reads it.
 */
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import { CatalogIndex } from '../../sql/relations.js'
import { detect, TOKEN_OF } from '../detect.js'
import type { Kind } from '../kinds.js'
import { defaultKind } from '../policy/columns.js'
import { maskJson } from '../tokens/json.js'
import { Types } from '../types.js'
import { guessKind, NO_SAMPLE, type Sample } from './kind-of-column.js'
import { type Samples, sampleKey } from './sample.js'

type Line = { readonly name: string; readonly value: string; readonly why: string; readonly on: boolean }

const HEAD = `# Proposed from names, types, comments, foreign keys and a look at some values. Read every line: this file decides what leaves.
# Lines that begin with # say what applies without them. Text that is not named is masked as free text; numbers, times,
# booleans, enums and UUIDs are kept unless named.
`

const SETTINGS = `
# What an application tells the server of itself (SET app.user = …, application_name) is text unless named; \`inspect\` lists what a recording met.
# settings:
#   app.user: email
#   application_name: keep
`

export function suggestPolicy(catalog: Catalog, samples: Samples): string {
  const types = new Types(catalog)
  const index = new CatalogIndex(catalog)
  const blocks: string[] = []
  for (const relation of [...catalog.relations].sort((a, b) => fullName(a).localeCompare(fullName(b)))) {
    if (!['table', 'partitioned', 'matview', 'foreign'].includes(relation.kind)) continue
    // Partitions and inheriting tables share their parent's rules.
    if (relation.parents.some((oid) => index.byOid(oid) !== undefined)) continue
    const lines = relation.columns.flatMap((column) => lineOf(index, types, samples, relation, column))
    if (lines.length === 0) continue
    blocks.push(lines.map(shown).join('\n'))
  }
  const columns = blocks.length === 0 ? 'columns: {}\n' : `columns:\n${blocks.join('\n\n')}\n`
  return `${HEAD}version: 1\nlocale: en\n${columns}${SETTINGS}`
}

function lineOf(
  index: CatalogIndex,
  types: Types,
  samples: Samples,
  relation: Relation,
  column: CatalogColumn,
): readonly Line[] {
  const type = types.of(column.typeOid)
  const name = `${fullName(relation)}.${quotedIfNeeded(column.name)}`
  const sample = samples.get(sampleKey(relation.oid, column.attnum)) ?? NO_SAMPLE
  const key = relation.foreignKeys.find((one) => one.columns.includes(column.attnum))
  const byDefault = defaultKind(type)
  if (key !== undefined && byDefault !== 'keep') {
    const target = index.byOid(key.referencedOid)
    const attnum = key.referencedColumns[key.columns.indexOf(column.attnum)]
    const targetColumn = target?.columns.find((one) => one.attnum === attnum)?.name ?? '?'
    return [
      {
        name,
        value: 'shared',
        why: `follows ${target === undefined ? '?' : fullName(target)}.${targetColumn}`,
        on: false,
      },
    ]
  }
  if ((type.element ?? type).class === 'json') return [jsonLine(name, sample)]
  const guess = guessKind(relation.name, column, type, sample)
  if (guess !== null) return [{ name, value: guess.kind, why: guess.why, on: true }]
  return byDefault === 'keep' ? [] : [{ name, value: byDefault, why: 'the default', on: false }]
}

const PATHS_MAX = 30

/** Paths whose sampled strings give themselves away; whatever is not named inside is text. */
function jsonLine(name: string, { values }: Sample): Line {
  const seen = new Map<string, { total: number; kinds: Map<Kind, number> }>()
  for (const value of values)
    maskJson(
      value,
      (path, number) => {
        if (number) return null
        return (text) => {
          const at = path.join('.').replaceAll('.[*]', '[*]')
          const place = seen.get(at) ?? { total: 0, kinds: new Map() }
          seen.set(at, place)
          place.total += 1
          const hit = detect(text)[0]
          if (hit !== undefined && hit.end - hit.start >= text.length * 0.8)
            place.kinds.set(TOKEN_OF[hit.detector], (place.kinds.get(TOKEN_OF[hit.detector]) ?? 0) + 1)
          return text
        }
      },
      (key) => key,
    )
  const paths = [...seen].flatMap(([path, { total, kinds }]) =>
    [...kinds].flatMap(([kind, count]) => (count * 2 >= total ? [`${JSON.stringify(path)}: ${kind}`] : [])),
  )
  return paths.length === 0
    ? { name, value: 'json', why: 'the default: every string inside is text', on: false }
    : {
        name,
        value: `{ json: { ${paths.slice(0, PATHS_MAX).join(', ')} } }`,
        why: 'strings at other paths are text',
        on: true,
      }
}

function shown({ name, value, why, on }: Line): string {
  // A quoted part alone would be the whole of a string to YAML.
  const key = name.includes('"') ? `'${name.replaceAll("'", "''")}'` : name
  return `  ${on ? '' : '# '}${key}: ${value.padEnd(10)} # ${why}`
}

function fullName(relation: Relation): string {
  return `${quotedIfNeeded(relation.schema)}.${quotedIfNeeded(relation.name)}`
}

/** Names with dots, or that YAML would read as something else. */
function quotedIfNeeded(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}
