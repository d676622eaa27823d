/**
 * Composite literals, as record_out writes them: `(1,,"a b","say ""x""")`. An empty field is NULL, an empty text has quotes.
 */
import { readLiteralField } from './literal-field.js'

/** The fields; undefined when the text is no composite literal. */
export function compositeFields(text: string): (string | null)[] | undefined {
  if (!text.startsWith('(') || !text.endsWith(')')) return undefined
  const fields: (string | null)[] = []
  let at = 1
  for (;;) {
    const field = readLiteralField(text, at, ',)')
    if (field === undefined) return undefined
    fields.push(field.value)
    at = field.end
    if (text[at] === ')') return at === text.length - 1 ? fields : undefined
    if (text[at] !== ',') return undefined
    at += 1
  }
}

/** Rewrites each field that is not NULL; undefined when the text is no composite literal, or has more or fewer fields. */
export function mapCompositeLiteral(
  text: string,
  maps: readonly (((field: string) => string) | undefined)[],
): string | undefined {
  const fields = compositeFields(text)
  if (fields?.length !== maps.length) return undefined
  return `(${fields.map((field, at) => (field === null ? '' : quotedField(maps[at]?.(field) ?? field))).join(',')})`
}

/** As record_out writes a field. */
export function quotedField(text: string): string {
  return text !== '' && !/["\\(),\s]/.test(text) ? text : `"${text.replace(/["\\]/g, '$&$&')}"`
}
