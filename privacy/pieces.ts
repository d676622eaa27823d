/**
 * A text taken apart at its literals and put together again with others: everything between them stays, letter by letter.
 */
import type { SafeSql } from '../segment/statement.js'
import type { Lexed } from '../sql/lex.js'
import type { Mask } from './masks/index.js'
import type { SlotMask } from './slots.js'

/** Text between literals, cut at semicolons: `pieces[i]` comes before literal i. */
export type Pieces = readonly { readonly text: string; readonly endsStatement: boolean }[][]

export function piecesOf(sql: string, lexed: Lexed, unknown: ReadonlySet<string>, text: Mask): Pieces {
  const pieces: { text: string; endsStatement: boolean }[][] = []
  let from = 0
  for (let slot = 0; slot <= lexed.starts.length; slot++) {
    const to = lexed.starts[slot] ?? sql.length
    const own: { text: string; endsStatement: boolean }[] = []
    let start = from
    for (const semicolon of lexed.semicolons) {
      if (semicolon < start || semicolon >= to) continue
      own.push({ text: safePiece(sql, start, semicolon, lexed.comments, unknown, text), endsStatement: true })
      start = semicolon + 1
    }
    own.push({ text: safePiece(sql, start, to, lexed.comments, unknown, text), endsStatement: false })
    pieces.push(own)
    from = lexed.ends[slot] ?? sql.length
  }
  return pieces
}

/** A part of the text without comments, in which names that are none of the schema's become tokens. */
function safePiece(
  sql: string,
  from: number,
  to: number,
  comments: readonly number[],
  unknown: ReadonlySet<string>,
  text: Mask,
): string {
  const piece = withoutComments(sql, from, to, comments)
  if (unknown.size === 0) return piece
  return piece.replace(/"((?:[^"]|"")*)"|[\p{L}_][\p{L}\p{N}_$]*/gu, (word: string, inQuotes?: string) => {
    const name = inQuotes?.replaceAll('""', '"') ?? word.toLowerCase()
    if (!unknown.has(name)) return word
    return inQuotes === undefined ? text(name) : `"${text(name).replaceAll('"', '""')}"`
  })
}

/** Each comment in a part of the text becomes one blank. */
export function withoutComments(sql: string, from: number, to: number, comments: readonly number[]): string {
  let out = ''
  let at = from
  for (let pair = 0; pair < comments.length; pair += 2) {
    const [start, end] = [comments[pair]!, comments[pair + 1]!]
    if (end <= at || start >= to) continue
    out += `${sql.slice(at, start)} `
    at = end
  }
  return out + sql.slice(Math.min(at, to), to)
}

export function assemble(
  sql: string,
  lexed: Lexed,
  pieces: Pieces,
  slots: readonly SlotMask[],
): { readonly sql: SafeSql; readonly statements: readonly SafeSql[] } {
  let whole = ''
  let statement = ''
  const statements: SafeSql[] = []
  const several = lexed.semicolons.length > 0
  for (let slot = 0; slot < pieces.length; slot++) {
    for (const piece of pieces[slot]!) {
      whole += piece.text
      if (!several) continue
      statement += piece.text
      if (!piece.endsStatement) continue
      whole += ';'
      if (statement.trim() !== '') statements.push(statement.trim() as SafeSql)
      statement = ''
    }
    if (slot === slots.length) break
    const raw = sql.slice(lexed.starts[slot], lexed.ends[slot])
    const mask = slots[slot]
    const literal = mask === null || mask === undefined ? raw : mask(raw, lexed.forms[slot]!)
    whole += literal
    if (several) statement += literal
  }
  if (!several) return { sql: whole as SafeSql, statements: [whole as SafeSql] }
  if (statement.trim() !== '') statements.push(statement.trim() as SafeSql)
  return { sql: whole as SafeSql, statements }
}
