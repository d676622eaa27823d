/**
 * SQL that is not taken apart by the parser: texts its grammar refuses, and the bodies of functions.
 */
import { type Lexed, LITERAL, lex } from '../sql/lex.js'
import { literalOf, literalValue } from '../sql/literal.js'
import type { Mask, Masks } from './masks/index.js'
import { withoutComments } from './pieces.js'
import type { Vocabulary } from './vocabulary.js'

const WORD = /"((?:[^"]|"")*)"?|[\p{L}_][\p{L}\p{N}_$]*/gu

/** Every literal masked, every comment dropped, every word that is neither the language's nor the schema's replaced. */
export function refusedText(sql: string, lexed: Lexed, masks: Masks, vocabulary: Vocabulary): string {
  const words = (text: string): string =>
    text.replace(WORD, (word: string, inQuotes?: string) => {
      if (vocabulary.knows(inQuotes ?? word)) return word
      return inQuotes === undefined
        ? masks.text(word)
        : `"${masks.text(inQuotes)}${word.length > 1 && word.endsWith('"') ? '"' : ''}`
    })
  return reassembled(sql, lexed, masks.unresolved(null), words)
}

/** The body of a function: its own literals masked, its words kept, its comments dropped. */
export function createBodyMask(masks: Masks): Mask {
  return (body) => reassembled(body, lex(body), masks.unresolved(null), masks.detected)
}

function reassembled(sql: string, lexed: Lexed, value: Mask, words: Mask): string {
  let out = ''
  let from = 0
  for (let slot = 0; slot <= lexed.starts.length; slot++) {
    const to = lexed.starts[slot] ?? sql.length
    out += words(withoutComments(sql, from, to, lexed.comments))
    if (slot === lexed.starts.length) break
    const end = lexed.ends[slot]!
    out += literal(sql.slice(to, end), lexed, slot, value, end === sql.length && !lexed.sound)
    from = end
  }
  return out
}

function literal(raw: string, lexed: Lexed, slot: number, value: Mask, last: boolean): string {
  const form = lexed.forms[slot]!
  if (form === LITERAL.number) return raw
  if (!last) return literalOf(value(literalValue(raw, form)), form)
  // It may lack its end: the quote it opens with is what the error is about, the rest is only words.
  const open = /^(?:[EeBbXx]|[Uu]&)?'|^\$[^$]*\$/.exec(raw)?.[0] ?? ''
  return open + value(raw.slice(open.length))
}
