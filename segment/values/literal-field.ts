/**
 * One field of a composite literal, or one bound of a range literal: `a`, `"a, b"`, `"say ""x"""`, `a\,b`. Both are written by one
 * rule: nothing at all is absent (NULL, no bound), quotes with nothing between them are an empty text.
 */
export type LiteralField = {
  /** null: there is none. */
  readonly value: string | null
  /** Where the character that ended it stands. */
  readonly end: number
}

/** `ends`: characters that end a field where no quotes are open. undefined: the text ends before the field does. */
export function readLiteralField(text: string, from: number, ends: string): LiteralField | undefined {
  let value = ''
  let quoted = false
  let wasQuoted = false
  for (let at = from; at < text.length; at += 1) {
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
    } else if (!quoted && ends.includes(char)) return { value: value === '' && !wasQuoted ? null : value, end: at }
    else value += char
  }
  return undefined
}
