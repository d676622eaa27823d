/**
 * Composite literals, as record_out writes them: `(1,,"a b","say ""x""")`. An empty field is NULL, an empty text has quotes.
 */

/** The fields; undefined when the text is no composite literal. */
export function compositeFields(text: string): (string | null)[] | undefined {
  if (!text.startsWith('(') || !text.endsWith(')')) return undefined
  const fields: (string | null)[] = []
  let at = 1
  for (;;) {
    const field = readField(text, at)
    if (field === undefined) return undefined
    fields.push(field.value)
    at = field.end
    if (text[at] === ')') return at === text.length - 1 ? fields : undefined
    if (text[at] !== ',') return undefined
    at += 1
  }
}

function readField(text: string, from: number): { readonly value: string | null; readonly end: number } | undefined {
  let value = ''
  let quoted = false
  let at = from
  let wasQuoted = false
  for (; at < text.length; at += 1) {
    const char = text[at]!
    if (char === '\\') {
      at += 1
      if (at >= text.length) return undefined
      value += text[at]
    } else if (char === '"') {
      if (quoted && text[at + 1] === '"') {
        value += '"'
        at += 1
      } else {
        quoted = !quoted
        wasQuoted = true
      }
    } else if (!quoted && (char === ',' || char === ')')) {
      return { value: value === '' && !wasQuoted ? null : value, end: at }
    } else value += char
  }
  return undefined
}
