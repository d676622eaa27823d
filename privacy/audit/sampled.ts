/**
 * Values that must not be found: a sample of every masked column of a live database.
 */
import type { Catalog } from '../../segment/catalog.js'
import type { CatalogClient } from '../../sql/read-catalog.js'
import { resolvePolicy } from '../policy/columns.js'
import type { Policy } from '../policy/policy.js'
import { sampleColumns } from '../suggest/sample.js'
import { maskJson } from '../tokens/json.js'
import { VALUE_LENGTH_MIN } from './values.js'

/** Only values with letters or many digits: `2024-01` is in every file. */
export async function sampledPersonalValues(
  client: CatalogClient,
  catalog: Catalog,
  policy: Policy,
): Promise<readonly string[]> {
  const resolved = resolvePolicy(policy, catalog)
  const samples = await sampleColumns(client, catalog)
  const values = new Set<string>()
  for (const [key, sample] of samples) {
    const [oid, attnum] = key.split(' ').map(Number) as [number, number]
    const rule = resolved.ruleOf(oid, attnum)
    if (rule === null || rule.kind === 'keep' || sample.listed) continue
    for (const value of sample.values)
      if (rule.kind === 'json') for (const inside of unnamedStrings(value, rule.json.length > 0)) add(values, inside)
      else add(values, value)
  }
  return [...values]
}

/** Where a policy names paths, some inside may be kept: then only what is surely personal is looked for, by the detectors. */
function unnamedStrings(json: string, named: boolean): readonly string[] {
  const found: string[] = []
  if (named) return found
  const note = (text: string): string => {
    found.push(text)
    return text
  }
  maskJson(
    json,
    (_, number) => (number ? null : note),
    (key) => key,
  )
  return found
}

function add(values: Set<string>, value: string): void {
  const text = value.trim()
  if (text.length < VALUE_LENGTH_MIN || text.length > 300) return
  if (/\p{L}{3,}/u.test(text) || text.replace(/\D/g, '').length >= 8) values.add(text)
}
