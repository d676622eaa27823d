/**
 * Binary values of types that the server keeps its own books in, and of text search, as text.
 */

/** A block, and a place in it. */
export function tidText(bytes: Buffer): string {
  return `(${bytes.readUInt32BE(0)},${bytes.readUInt16BE(4)})`
}

/** As int2vector and oidvector are written: an array's elements, with blanks between. */
export function vectorText(array: string | undefined): string | undefined {
  return array?.slice(array.indexOf('{') + 1, -1).replaceAll(',', ' ')
}

/** Transactions under way: how many, the first, the one after the last, and each. */
export function snapshotText(bytes: Buffer): string | undefined {
  const count = bytes.readInt32BE(0)
  if (count < 0 || bytes.byteLength !== 20 + count * 8) return undefined
  const under = Array.from({ length: count }, (_, at) => bytes.readBigUInt64BE(20 + at * 8))
  return `${bytes.readBigUInt64BE(4)}:${bytes.readBigUInt64BE(12)}:${under.join(',')}`
}

const WEIGHTS = ['', 'C', 'B', 'A']

/** A number of lexemes; each ends in a zero byte, and has its places: fourteen bits of position under two of weight. */
export function tsvectorText(bytes: Buffer): string | undefined {
  const count = bytes.readInt32BE(0)
  let at = 4
  const lexemes: string[] = []
  for (let lexeme = 0; lexeme < count; lexeme++) {
    const end = bytes.indexOf(0, at)
    if (end < 0) return undefined
    const quoted = bytes.toString('utf8', at, end).replace(/['\\]/g, '$&$&')
    const places = bytes.readUInt16BE(end + 1)
    at = end + 3
    const shown: string[] = []
    for (let place = 0; place < places; place++, at += 2) {
      const packed = bytes.readUInt16BE(at)
      shown.push(`${packed & 0x3fff}${WEIGHTS[packed >> 14]}`)
    }
    lexemes.push(`'${quoted}'${shown.length === 0 ? '' : `:${shown.join(',')}`}`)
  }
  return at === bytes.byteLength ? lexemes.join(' ') : undefined
}

const OPERAND = 1
const OPERATORS: Readonly<Record<number, { readonly sign: string; readonly binds: number }>> = {
  1: { sign: '!', binds: 4 },
  2: { sign: '&', binds: 2 },
  3: { sign: '|', binds: 1 },
  4: { sign: '<->', binds: 3 },
}
const NOT = 1
const PHRASE = 4

/** A number of items in Polish notation, the right side of an operator before its left. Parentheses stand where tsquery_out sets them. */
export function tsqueryText(bytes: Buffer): string | undefined {
  let left = bytes.readInt32BE(0)
  let at = 4
  const item = (outer: number, besidePhrase: boolean): string | undefined => {
    if (--left < 0) return undefined
    if (bytes.readUInt8(at++) === OPERAND) return operand()
    const code = bytes.readUInt8(at++)
    const operator = OPERATORS[code]
    if (operator === undefined) return undefined
    const { binds } = operator
    const inParentheses = (text: string, need: boolean) => (need ? `( ${text} )` : text)
    if (code === NOT) {
      const of = item(binds, false)
      return of === undefined ? undefined : inParentheses(`!${of}`, binds < outer)
    }
    const distance = code === PHRASE ? bytes.readUInt16BE(at) : 1
    if (code === PHRASE) at += 2
    const second = item(binds, code === PHRASE)
    const first = item(binds, false)
    if (first === undefined || second === undefined) return undefined
    const sign = distance === 1 ? operator.sign : `<${distance}>`
    return inParentheses(`${first} ${sign} ${second}`, binds < outer || (code === PHRASE && besidePhrase))
  }
  const operand = (): string | undefined => {
    const [weights, prefix] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)]
    const end = bytes.indexOf(0, at + 2)
    if (end < 0) return undefined
    const quoted = bytes.toString('utf8', at + 2, end).replace(/['\\]/g, '$&$&')
    at = end + 1
    const marks = `${prefix === 0 ? '' : '*'}${['A', 'B', 'C', 'D'].filter((_, bit) => weights & (8 >> bit)).join('')}`
    return `'${quoted}'${marks === '' ? '' : `:${marks}`}`
  }
  const text = left === 0 ? '' : item(-1, false)
  return at === bytes.byteLength && left === 0 ? text : undefined
}
