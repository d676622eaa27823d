/**
 * Array literals: `{1,NULL,"a b"}`, with bounds (`[0:1]={1,2}`) and nesting. Elements are rewritten one by one; the frame stays.
 */

/** A semicolon for boxes, a comma for everything else. */
export type Delimiter = ',' | ';'

/** Rewrites each element that is not NULL; undefined when the text is no array literal as array_out writes it. */
export function mapArrayLiteral(
  text: string,
  map: (element: string) => string,
  onNull: () => void = () => {},
  delimiter: Delimiter = ',',
): string | undefined {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  if (text[at] !== '{') return undefined
  let out = text.slice(0, at)
  while (at < text.length) {
    const char = text[at]!
    if (char === '{' || char === '}' || char === delimiter) {
      out += char
      at += 1
      continue
    }
    const quoted = char === '"'
    const end = quoted ? closingQuote(text, at + 1) : endOfWord(text, at, delimiter)
    if (end < 0 || text[at - 1] === '}') return undefined
    const word = quoted ? text.slice(at + 1, end).replace(/\\(.)/gs, '$1') : text.slice(at, end)
    if (!quoted && word === 'NULL') {
      out += word
      onNull()
    } else out += quoteElement(map(word), delimiter)
    at = quoted ? end + 1 : end
    if (text[at] !== delimiter && text[at] !== '}') return undefined
  }
  return out
}

/** The elements, nesting left out; undefined when the text is no array literal. */
export function arrayElements(text: string): (string | null)[] | undefined {
  const elements: (string | null)[] = []
  const read = mapArrayLiteral(
    text,
    (element) => {
      elements.push(element)
      return element
    },
    () => elements.push(null),
  )
  return read === undefined ? undefined : elements
}

/** As array_out writes an element. */
export function quoteElement(element: string, delimiter: Delimiter = ','): string {
  if (element !== '' && !TO_QUOTE[delimiter].test(element) && !/^null$/i.test(element)) return element
  return `"${element.replace(/["\\]/g, '\\$&')}"`
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at
  }
  return -1
}

/** What needs quotes has them, so a bare word has none of these inside. */
const WORD = { ',': /[^"\\{},]*/y, ';': /[^"\\{};]*/y }
const TO_QUOTE = { ',': /["\\{},\s]/, ';': /["\\{};\s]/ }

function endOfWord(text: string, from: number, delimiter: Delimiter): number {
  const word = WORD[delimiter]
  word.lastIndex = from
  const end = from + word.exec(text)![0].length
  return text[end] === '"' || text[end] === '\\' ? -1 : end
}
