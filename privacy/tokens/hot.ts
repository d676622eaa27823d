/**
 * The tokens in use right now. A value's characters choose two places; a newcomer takes the first, who was there moves to the second.
 *
 * A look costs 0.05 µs, a token 1 to 8. A map of two generations found as many, but where every value is new it grew and was thrown away
 * all the time, and collecting that cost more than the tokens did: here nothing is made but the token.
 */
export function hot(make: (value: string) => string, places = 1 << 15, lengthMax = 512): (value: string) => string {
  // A column of a few hundred values needs no more than that: it grows by who had to go.
  let size = Math.min(places, 1 << 10)
  let values: string[] = empty(size)
  let tokens: string[] = empty(size)
  let gone = 0
  return (value) => {
    const { length } = value
    if (length === 0 || length > lengthMax) return make(value)
    const first = placeOf(value) & (size - 2)
    if (values[first] === value) return tokens[first]!
    const second = first + 1
    if (values[second] === value) return tokens[second]!
    const token = make(value)
    if (values[second] !== '') {
      gone += 1
      if (gone > size && size < places) {
        size *= 2
        values = empty(size)
        tokens = empty(size)
        gone = 0
        return token
      }
    }
    values[second] = values[first]!
    tokens[second] = tokens[first]!
    values[first] = alone(value)
    tokens[first] = token
    return token
  }
}

/** Shorter ones are copied by the engine when they are cut out. */
const CUT_OUT_MIN = 13
const room = Buffer.alloc(1024)

/**
 * A string cut out of a statement's text holds on to the whole text. Kept here it would outlive it, tens of thousands of times, and collecting
 * that costs more than the tokens do.
 */
function alone(value: string): string {
  const { length } = value
  if (length < CUT_OUT_MIN || length * 2 > room.length) return value
  return room.toString('utf16le', 0, room.write(value, 0, 'utf16le'))
}

function empty(size: number): string[] {
  return new Array<string>(size).fill('')
}

/** Of its length and up to 32 of its characters, the first and the last: values of one kind differ there. */
function placeOf(value: string): number {
  const { length } = value
  const ends = length <= 32 ? length : 16
  let sum = length
  for (let at = 0; at < ends; at++) sum = Math.imul(sum ^ value.charCodeAt(at), 0x5bd1e995)
  if (ends < length)
    for (let at = length - 16; at < length; at++) sum = Math.imul(sum ^ value.charCodeAt(at), 0x5bd1e995)
  return sum ^ (sum >>> 15)
}
