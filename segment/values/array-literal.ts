/**
 * Array literals: `{1,NULL,"a b"}`, with bounds (`[0:1]={1,2}`) and nesting. Elements are rewritten one by one; the frame stays.
 */

/** Rewrites each element that is not NULL; undefined when the text is no array literal. */
export function mapArrayLiteral(text: string, map: (element: string) => string): string | undefined {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  if (text[at] !== '{') return undefined
  let out = text.slice(0, at)
  while (at < text.length) {
    const char = text[at]!
    if (char === '{' || char === '}' || char === ',') {
      out += char
      at += 1
    } else if (char === '"') {
      const end = closingQuote(text, at + 1)
      if (end < 0) return undefined
      out += quoteElement(map(text.slice(at + 1, end).replace(/\\(.)/gs, '$1')))
      at = end + 1
    } else {
      const end = endOfWord(text, at)
      const word = text.slice(at, end)
      out += word === 'NULL' ? word : quoteElement(map(word))
      at = end
    }
  }
  return out
}

/** As array_out writes an element. */
export function quoteElement(element: string): string {
  if (element !== '' && !/["\\{},\s]/.test(element) && !/^null$/i.test(element)) return element
  return `"${element.replace(/["\\]/g, '\\$&')}"`
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at
  }
  return -1
}

function endOfWord(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== ',' && text[at] !== '}' && text[at] !== '{') at += 1
  return at
}
