/**
 * Captured text on its way to a person: bounded, and with what would act on the reader's screen made visible.
 *
 * Control characters could steer a terminal, bidirectional ones could show a statement in another order than it has.
 */

/** Never ends in half a surrogate pair. */
export function clip(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text
  const end = /[\uD800-\uDBFF]/.test(text[charactersMax - 1] ?? '') ? charactersMax - 1 : charactersMax
  return `${text.slice(0, end)} … (${(text.length - end).toLocaleString('en-US')} more characters)`
}

/**
 * What cannot be seen or moves what can: C0 and C1 controls except tab and line feed, zero-width and bidirectional
 * characters, the byte order mark, tags, lone surrogates.
 */
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu

/** The same without the position a global expression remembers. */
const UNSEEN_ANY = new RegExp(UNSEEN.source, 'u')

export function hasUnseen(text: string): boolean {
  return UNSEEN_ANY.test(text)
}

/** As the escapes of an E'…' literal, which names every character that cannot be seen by its code. */
export function unseenEscaped(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16)
    return hex.length > 4 ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`
  })
}

export type Piece = { readonly text: string; readonly unseen: boolean }

/** Text in pieces: as it is, and names (`U+202E`) for what is not to be printed. */
export function pieces(text: string): Piece[] {
  if (!UNSEEN_ANY.test(text)) return text === '' ? [] : [{ text, unseen: false }]
  const found: Piece[] = []
  const lines = text.replaceAll('\r\n', '\n')
  let from = 0
  for (const match of lines.matchAll(UNSEEN)) {
    if (match.index > from) found.push({ text: lines.slice(from, match.index), unseen: false })
    found.push({ text: nameOf(match[0]), unseen: true })
    from = match.index + match[0].length
  }
  if (from < lines.length) found.push({ text: lines.slice(from), unseen: false })
  return found
}

/** One line of plain text: for terminals, comments and XML, where a piece has no style of its own. */
export function plain(text: string): string {
  return pieces(text.replace(/[\t\n]/g, ' '))
    .map((piece) => (piece.unseen ? `<${piece.text}>` : piece.text))
    .join('')
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}
