/**
 * Is a word one of SQL's? The parser's own scanner knows; each word is asked about once.
 */
import { scanSync } from 'libpg-query'

const known = new Map<string, boolean>()

export function isKeyword(word: string): boolean {
  if (!/^[a-z_]{1,32}$/i.test(word)) return false
  const lower = word.toLowerCase()
  const found = known.get(lower)
  if (found !== undefined) return found
  const token = scanSync(lower).tokens[0]
  const is = token !== undefined && token.keywordKind > 0
  // Words come from texts that users wrote: there is no end of them.
  if (known.size < 10_000) known.set(lower, is)
  return is
}
