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
