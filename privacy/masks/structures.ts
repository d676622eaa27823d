/**
 * Values with values inside: PostgreSQL's arrays, rows, ranges and hstore as text, bytea, XML, text search vectors. The form stays, what is inside is masked.
 */

export type Mask = (value: string) => string

/** `{a,"b c",NULL,{d}}`, with bounds before it or not. Anything else goes to `otherwise`. */
export function arrayMask(element: Mask, otherwise: Mask): Mask {
  return (value) => {
    const bounds = /^(?:\[[\d:-]+\])+=/.exec(value)?.[0] ?? ''
    const body = value.slice(bounds.length)
    if (!body.startsWith('{') || !body.endsWith('}')) return otherwise(value)
    return bounds + maskDelimited(body, element)
  }
}

/** Walks the elements; braces and commas outside of quotes are structure. */
function maskDelimited(text: string, element: Mask): string {
  let out = ''
  let at = 0
  while (at < text.length) {
    const character = text[at]!
    if (character === '"') {
      const end = endOfQuoted(text, at)
      out += arrayElement(element(text.slice(at + 1, end).replace(/\\([\s\S])/g, '$1')))
      at = end + 1
    } else if (character === '{' || character === '}' || character === ',' || /\s/.test(character)) {
      out += character
      at += 1
    } else {
      let end = at
      while (end < text.length && !'{},'.includes(text[end]!)) end += text[end] === '\\' ? 2 : 1
      const raw = text.slice(at, end)
      const bare = raw.trimEnd()
      out += /^null$/i.test(bare) ? raw : arrayElement(element(bare.replace(/\\([\s\S])/g, '$1')))
      at = end
    }
  }
  return out
}

function endOfQuoted(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}

/** Quoted only where it must be, as the server prints it. */
export function arrayElement(value: string): string {
  return value === '' || /[{}",\\\s]/.test(value) || /^null$/i.test(value) ? quoted(value) : value
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** `(1,"a b",)`: fields in order; more fields than masks use the last. */
export function rowMask(fields: readonly Mask[], otherwise: Mask): Mask {
  return (value) => {
    if (!value.startsWith('(') || !value.endsWith(')')) return otherwise(value)
    const cells = splitRow(value.slice(1, -1))
    return `(${cells
      .map((cell, at) => {
        if (cell === null) return ''
        const masked = (fields[at] ?? fields.at(-1) ?? otherwise)(cell)
        return masked === '' || /[()",\\\s]/.test(masked) ? `"${masked.replace(/["\\]/g, '$&$&')}"` : masked
      })
      .join(',')})`
  }
}

function splitRow(body: string): readonly (string | null)[] {
  const cells: (string | null)[] = []
  let cell = ''
  let seen = false
  for (let at = 0; at <= body.length; at++) {
    const character = body[at]
    if (character === undefined || character === ',') {
      cells.push(seen ? cell : null)
      cell = ''
      seen = false
    } else if (character === '"') {
      seen = true
      for (at += 1; at < body.length; at++) {
        if (body[at] === '\\') cell += body[++at] ?? ''
        else if (body[at] === '"' && body[at + 1] === '"') cell += body[++at]!
        else if (body[at] === '"') break
        else cell += body[at]!
      }
    } else {
      seen = true
      cell += character === '\\' ? (body[++at] ?? '') : character
    }
  }
  return cells
}

const PAIR =
  /\s*("(?:[^"\\]|\\[\s\S])*"|[^\s"=,]+)\s*=>\s*(?:(null)(?=\s*(?:,|$))|("(?:[^"\\]|\\[\s\S])*"|[^\s",]+))\s*(,|$)/iy

/** hstore: `"a"=>"1", b=>NULL`. Printed as the server prints it. */
export function pairsMask(key: Mask, valueAt: (key: string) => Mask, otherwise: Mask): Mask {
  return (value) => {
    const pairs: string[] = []
    PAIR.lastIndex = 0
    while (PAIR.lastIndex < value.length) {
      const from = PAIR.lastIndex
      const found = PAIR.exec(value)
      if (found === null) return value.slice(from).trim() === '' ? pairs.join(', ') : otherwise(value)
      const name = bare(found[1]!)
      pairs.push(`${quoted(key(name))}=>${found[3] === undefined ? 'NULL' : quoted(valueAt(name)(bare(found[3])))}`)
    }
    return pairs.join(', ')
  }
}

function bare(text: string): string {
  return (text.startsWith('"') ? text.slice(1, -1) : text).replace(/\\([\s\S])/g, '$1')
}

const SPAN = /([[(])("(?:[^"\\]|\\[\s\S]|"")*"|[^",()[\]]*),("(?:[^"\\]|\\[\s\S]|"")*"|[^",()[\]]*)([\])])/g

/**
 * Ranges of text. Tokens do not sort as the values did, and an upper bound below the lower one is refused: the upper bound gets the lower
 * bound's token before its own, which no collation puts first. So equal ranges stay equal, and nothing else is promised.
 */
export function spanMask(bound: Mask, otherwise: Mask): Mask {
  return (value) => {
    if (!/^\s*[[({]/.test(value)) return /^\s*empty\s*$/i.test(value) ? value : otherwise(value)
    return value.replace(SPAN, (_, open: string, lower: string, upper: string, close: string) => {
      const [from, to] = [lower, upper].map((text) => bare(text).replaceAll('""', '"')) as [string, string]
      const low = lower === '' ? '' : spanBound(bound(from))
      const high =
        upper === '' ? '' : spanBound(lower === '' || from === to ? bound(to) : `${bound(from)} ${bound(to)}`)
      return `${open}${low},${high}${close}`
    })
  }
}

/** As range_out prints it. */
function spanBound(value: string): string {
  return value === '' || /[()[\],"\\\s]/.test(value) ? `"${value.replace(/["\\]/g, '$&$&')}"` : value
}

/** bytea in either of its forms; always hex out, as the server prints it. */
export function bytesMask(hexToken: Mask): Mask {
  return (value) => {
    if (value === '' || value === '\\x') return value
    if (/^\\x[0-9a-fA-F\s]*$/.test(value)) return `\\x${hexToken(value.slice(2).replace(/\s/g, ''))}`
    const bytes: number[] = []
    for (let at = 0; at < value.length; at++) {
      const octal = /^\\([0-3][0-7]{2})/.exec(value.slice(at, at + 4))
      if (octal !== null) {
        bytes.push(Number.parseInt(octal[1]!, 8))
        at += 3
      } else {
        if (value[at] === '\\') at += 1
        bytes.push(...Buffer.from(value[at] ?? '', 'utf8'))
      }
    }
    return `\\x${hexToken(Buffer.from(bytes).toString('hex'))}`
  }
}

/** Text and attribute values; names of elements and attributes stay. */
export function xmlMask(text: Mask): Mask {
  return (value) =>
    value.replace(
      /<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<[^>]*>|([^<]+)/g,
      (all: string, data: string | undefined, plain: string | undefined) => {
        if (plain !== undefined) return text(plain)
        if (data !== undefined) return `<![CDATA[${text(data)}]]>`
        if (all.startsWith('<!--')) return ''
        return all.replace(/=\s*("[^"]*"|'[^']*')/g, (_, raw: string) => `=${raw[0]}${text(raw.slice(1, -1))}${raw[0]}`)
      },
    )
}

/** `'fat':2A 'rat':3 & …`: the words; positions, weights and operators stay. */
export function lexemesMask(text: Mask): Mask {
  return (value) =>
    value.replace(
      /'((?:[^']|'')*)'|([^\s':&|!()<>]+)(?=[:\s&|!)<]|$)/g,
      (all: string, inQuotes: string | undefined, _bare: string | undefined, offset: number) => {
        if (inQuotes !== undefined) return `'${text(inQuotes.replaceAll("''", "'")).replaceAll("'", "''")}'`
        const before = value[offset - 1]
        return before === ':' || before === '<' ? all : text(all)
      },
    )
}
