/**
 * Text to text of the same format: letters become letters of the same script and case, digits digits, the rest stays.
 *
 * So length, `varchar(n)`, CHECKs on the format and JSON or array punctuation survive. Two ways, by the number of texts of one format:
 * - fewer than 2^64 (`NL`, `AB-1234`): a keyed permutation, exactly bijective, as a hash would collide there;
 * - more: drawn afresh from 128 keyed bits of the whole text. Nothing of a text is left but its format, and equal words in
 *   two texts do not look equal, so counting words reveals nothing. (Word by word would keep `LIKE '%word%'` and was
 *   refused for that reason.)
 */
import { permute } from './feistel.js'
import { number32, type Prf } from './prf.js'

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

function drawn(seed: string, characters: string | string[], places: number[], alphabets: Alphabet[]): string {
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
function generator(seed: string): (size: number) => number {
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
