/**
 * Text to text of the same format: letters become letters of the same script and case, digits digits, the rest stays.
 *
 * So length, `varchar(n)`, CHECKs on the format and JSON or array punctuation survive. Two ways, by the number of texts of one format:
 * - fewer than 2^64 (`NL`, `AB-1234`): a keyed permutation, exactly bijective, as a hash would collide there;
 * - more: drawn afresh from 128 keyed bits of the whole text. Nothing of a text is left but its format, and equal words in
 *   two texts do not look equal, so counting words reveals nothing. (Word by word would keep `LIKE '%word%'` and was
 *   refused for that reason.)
 */
import { halves, permute } from './feistel.js'
import { type Digest, number32, type Prf } from './prf.js'

type Alphabet = { readonly first: number; readonly size: number; readonly pick?: string }

const DIGITS: Alphabet = { first: 0x30, size: 10 }
const LOWER: Alphabet = { first: 0x61, size: 26 }
const UPPER: Alphabet = { first: 0x41, size: 26 }
const LOWER_LATIN: Alphabet = { first: 0, size: 31, pick: 'ßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþ' }
const UPPER_LATIN: Alphabet = { first: 0, size: 30, pick: 'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞ' }
const IDEOGRAPHS: Alphabet = { first: 0x4e00, size: 0x9fff - 0x4e00 + 1 }
const HANGUL: Alphabet = { first: 0xac00, size: 0xd7a3 - 0xac00 + 1 }

const ASCII: readonly (Alphabet | null)[] = Array.from({ length: 128 }, (_, code) =>
  code >= 0x30 && code <= 0x39
    ? DIGITS
    : code >= 0x61 && code <= 0x7a
      ? LOWER
      : code >= 0x41 && code <= 0x5a
        ? UPPER
        : null,
)

/** Scripts without an alphabet of their own here change within their block of 64 code points. */
const blocks = new Map<number, Alphabet>()

function alphabetOf(code: number): Alphabet | null {
  if (code < 128) return ASCII[code]!
  if (code < 0xc0 || code === 0xd7 || code === 0xf7 || code === 0xff) return null
  if (code < 0x100) return code >= 0xdf ? LOWER_LATIN : UPPER_LATIN
  // Punctuation, symbols, emoji and their modifiers say nothing about anybody.
  if ((code >= 0x2000 && code < 0x2c00) || (code >= 0x3000 && code < 0x3040)) return null
  if ((code >= 0xe000 && code < 0xf900) || (code >= 0xfe00 && code < 0xfe10) || code >= 0x1f000) return null
  if (code >= 0x4e00 && code <= 0x9fff) return IDEOGRAPHS
  if (code >= 0xac00 && code <= 0xd7a3) return HANGUL
  const block = code >> 6
  const known = blocks.get(block)
  if (known !== undefined) return known
  const made = { first: block << 6, size: 64 }
  blocks.set(block, made)
  return made
}

function indexIn(alphabet: Alphabet, code: number): number {
  return alphabet.pick === undefined ? code - alphabet.first : alphabet.pick.indexOf(String.fromCharCode(code))
}

function letter(alphabet: Alphabet, index: number): string {
  return alphabet.pick === undefined ? String.fromCodePoint(alphabet.first + index) : alphabet.pick[index]!
}

/** 64 bits, and what a readable text has per letter: consonants and vowels taking turns. */
const BITS_WANTED = 64
const BITS_READABLE = 3.3
const CONSONANTS = 'bcdfghjklmnpqrstvwxz'
const VOWELS = 'aeiou'

export function patternToken(prf: Prf, value: string): string {
  return isAscii(value) ? asciiToken(prf, value) : anyToken(prf, value)
}

/** Bits that a letter or digit holds, by its code; 0: it stays. */
const BITS = Float64Array.from(ASCII, (alphabet) => (alphabet === null ? 0 : Math.log2(alphabet.size)))

/** Most texts: what is drawn goes into bytes, and no list is made of what stands where. */
function asciiToken(prf: Prf, value: string): string {
  let bits = 0
  let letters = 0
  for (let at = 0; at < value.length; at++) {
    const own = BITS[value.charCodeAt(at)]!
    if (own === 0) continue
    bits += own
    letters += 1
  }
  if (letters === 0) return value
  if (bits >= BITS_WANTED) return drawnAscii(prf(value), value, letters)
  return letters === 1 ? anyToken(prf, value) : permutedAscii(prf, value, letters)
}

/** As ./feistel.ts does it with a list of digits: here they are read out of the text and written into it. */
function permutedAscii(prf: Prf, value: string, letters: number): string {
  const { length } = value
  reserve(length)
  const half = letters >> 1
  let a = 0
  let sizeA = 1
  let b = 0
  let sizeB = 1
  let place = 0
  for (let at = 0; at < length; at++) {
    const code = value.charCodeAt(at)
    const alphabet = ASCII[code]!
    if (alphabet === null) {
      bytes[at] = code
      continue
    }
    bytes[at] = 1 + (alphabet.first % 31)
    if (place++ < half) {
      a = a * alphabet.size + code - alphabet.first
      sizeA *= alphabet.size
    } else {
      b = b * alphabet.size + code - alphabet.first
      sizeB *= alphabet.size
    }
  }
  let [restA, restB] = halves(prf, bytes.toString('latin1', 0, length), a, sizeA, b, sizeB)
  for (let at = length - 1; at >= 0; at--) {
    const code = value.charCodeAt(at)
    const alphabet = ASCII[code]!
    if (alphabet === null) {
      bytes[at] = code
      continue
    }
    const { first, size } = alphabet
    if (place-- > half) {
      bytes[at] = first + (restB % size)
      restB = Math.floor(restB / size)
    } else {
      bytes[at] = first + (restA % size)
      restA = Math.floor(restA / size)
    }
  }
  return bytes.toString('latin1', 0, length)
}

let bytes = Buffer.alloc(1024)

function reserve(length: number): void {
  if (length > bytes.length) bytes = Buffer.alloc(length * 2)
}

function drawnAscii(seed: Digest, value: string, letters: number): string {
  const draw = generator(seed)
  const readable = letters * BITS_READABLE >= BITS_WANTED
  const { length } = value
  reserve(length)
  let vowel = false
  for (let at = 0; at < length; at++) {
    const code = value.charCodeAt(at)
    const alphabet = ASCII[code]!
    if (alphabet === null) {
      bytes[at] = code
      vowel = false
    } else if (readable && alphabet !== DIGITS) {
      const from = vowel ? VOWELS : CONSONANTS
      const chosen = from.charCodeAt(draw(from.length))
      bytes[at] = alphabet === LOWER ? chosen : chosen - 32
      vowel = !vowel
    } else bytes[at] = alphabet.first + draw(alphabet.size)
  }
  return bytes.toString('latin1', 0, length)
}

function anyToken(prf: Prf, value: string): string {
  const places: number[] = []
  const alphabets: Alphabet[] = []
  const characters = isAscii(value) ? value : Array.from(value)
  let bits = 0
  for (let at = 0; at < characters.length; at++) {
    const alphabet = alphabetOf(characters[at]!.codePointAt(0)!)
    if (alphabet === null) continue
    places.push(at)
    alphabets.push(alphabet)
    bits += Math.log2(alphabet.size)
  }
  if (places.length === 0) return value
  if (bits >= BITS_WANTED) return drawn(prf(value), characters, places, alphabets)
  const format: string[] = Array.from(characters)
  const digits = places.map((at, place) => {
    const alphabet = alphabets[place]!
    const index = indexIn(alphabet, format[at]!.codePointAt(0)!)
    format[at] = String.fromCharCode(1 + (alphabet.first % 31))
    return index
  })
  permute(
    prf,
    format.join(''),
    digits,
    alphabets.map((alphabet) => alphabet.size),
  )
  for (let place = 0; place < places.length; place++) format[places[place]!] = letter(alphabets[place]!, digits[place]!)
  return format.join('')
}

function drawn(seed: Digest, characters: string | string[], places: number[], alphabets: Alphabet[]): string {
  const draw = generator(seed)
  const readable = places.length * BITS_READABLE >= BITS_WANTED
  let out = ''
  let next = 0
  let vowel = false
  for (let at = 0; at < characters.length; at++) {
    if (places[next] !== at) {
      out += characters[at]!
      vowel = false
      continue
    }
    const alphabet = alphabets[next]!
    next += 1
    if (readable && (alphabet === LOWER || alphabet === UPPER)) {
      const letters = vowel ? VOWELS : CONSONANTS
      const chosen = letters[draw(letters.length)]!
      out += alphabet === LOWER ? chosen : chosen.toUpperCase()
      vowel = !vowel
    } else out += letter(alphabet, draw(alphabet.size))
  }
  return out
}

/** sfc32, seeded with 128 keyed bits: it only spreads them; who reconstructs its state has a digest, not a value. */
function generator(seed: Digest): (size: number) => number {
  let a = number32(seed, 0) | 0
  let b = number32(seed, 4) | 0
  let c = number32(seed, 8) | 0
  let counter = number32(seed, 12) | 0
  return (size) => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11) | 0) + sum) | 0
    return Math.floor(((sum >>> 0) / 0x1_0000_0000) * size)
  }
}

function isAscii(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (value.charCodeAt(at) > 127) return false
  return true
}

/** Hex digits to as many hex digits, lower-case: bytes of the same length. */
export function hexToken(prf: Prf, hex: string): string {
  if (hex.length < 16) {
    const digits = Array.from(hex, (digit) => Number.parseInt(digit, 16))
    permute(prf, 'hex', digits, Array<number>(digits.length).fill(16))
    return digits.map((digit) => digit.toString(16)).join('')
  }
  const draw = generator(prf(hex.toLowerCase()))
  let out = ''
  while (out.length < hex.length) out += draw(16).toString(16)
  return out
}
