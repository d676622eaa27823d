/**
 * What a migration does to text.
 */
import { isNumber, type ValueExplainer } from './cause.js'

const letters = (text: string): number => [...text].length

const cut: ValueExplainer = {
  name: 'text.cut',
  match(before, after, types) {
    if (isNumber(types) || after === '' || after.length >= before.length || !before.startsWith(after)) return null
    return before.trimEnd() === after ? null : String(letters(after))
  },
  says: (length) => (length === null ? 'is cut short' : `is cut to ${length} characters`),
}

const cutFront: ValueExplainer = {
  name: 'text.cut_front',
  match: (before, after, types) =>
    !isNumber(types) &&
    after !== '' &&
    after.length < before.length &&
    before.endsWith(after) &&
    before.trimStart() !== after
      ? String(letters(before) - letters(after))
      : null,
  says: (count) => (count === null ? 'has lost its beginning' : `has lost its first ${count} characters`),
}

const padded: ValueExplainer = {
  name: 'text.padded',
  match: (before, after) => (after.length > before.length && after.trim() === before ? String(letters(after)) : null),
  says: (length) => (length === null ? 'is padded with blanks' : `is padded with blanks to ${length} characters`),
}

const trimmed: ValueExplainer = {
  name: 'text.trimmed',
  match: (before, after) =>
    before.length > after.length && before.trim() === after.trim() && before !== after ? '' : null,
  says: () => 'has lost the blanks around it',
}

const lower: ValueExplainer = {
  name: 'text.lower_case',
  match: (before, after) => (before.toLowerCase() === after && before !== after ? '' : null),
  says: () => 'is in lower case now',
}

const upper: ValueExplainer = {
  name: 'text.upper_case',
  match: (before, after) => (before.toUpperCase() === after && before !== after ? '' : null),
  says: () => 'is in upper case now',
}

const otherCase: ValueExplainer = {
  name: 'text.case',
  match: (before, after) => (before.toLowerCase() === after.toLowerCase() && before !== after ? '' : null),
  says: () => 'differs in upper and lower case',
}

const normalisation: ValueExplainer = {
  name: 'text.normalisation',
  match: (before, after) => {
    if (before.normalize('NFC') !== after.normalize('NFC')) return null
    return (['NFC', 'NFD', 'NFKC', 'NFKD'] as const).find((form) => after === before.normalize(form)) ?? ''
  },
  says: (form) => (form ? `has another Unicode normalisation (${form})` : 'has another Unicode normalisation'),
}

/** What Windows-1252 has where Latin-1 has control characters, 0x80 to 0x9f. */
const WINDOWS_1252 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'

function misread(text: string): { readonly latin1: string; readonly windows1252: string } {
  const latin1 = Buffer.from(text, 'utf8').toString('latin1')
  return { latin1, windows1252: latin1.replace(/[\x80-\x9f]/g, (c) => WINDOWS_1252[c.charCodeAt(0) - 0x80]!) }
}

const misencoded: ValueExplainer = {
  name: 'text.encoding',
  match: (before, after) => {
    if (/^[\x20-\x7e\s]*$/.test(before) && /^[\x20-\x7e\s]*$/.test(after)) return null
    const wrong = misread(before)
    if (after === wrong.latin1 || after === wrong.windows1252) return 'UTF-8 read as Latin-1'
    const right = misread(after)
    if (before === right.latin1 || before === right.windows1252) return 'Latin-1 read as UTF-8'
    if (after.includes('\ufffd') && !before.includes('\ufffd')) return 'characters replaced by U+FFFD'
    if (letters(before) === letters(after) && after === replaceWide(before, '?')) return 'characters replaced by ?'
    return after === replaceWide(before, '') && after !== '' ? 'characters dropped' : null
  },
  says: (how) => (how === null ? 'has a damaged encoding' : `has a damaged encoding (${how})`),
}

function replaceWide(text: string, by: string): string {
  return [...text].map((letter) => (letter.codePointAt(0)! > 0x7e ? by : letter)).join('')
}

const accents: ValueExplainer = {
  name: 'text.accents',
  match: (before, after) => (before !== after && withoutAccents(before) === after ? '' : null),
  says: () => 'has lost its accents',
}

function withoutAccents(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '')
}

const whiteSpace: ValueExplainer = {
  name: 'text.white_space',
  match: (before, after) => {
    if (before.replaceAll('\r\n', '\n') === after.replaceAll('\r\n', '\n')) return 'line ends'
    return before.replace(/\s+/g, ' ').trim() === after.replace(/\s+/g, ' ').trim() ? '' : null
  },
  says: (what) => (what ? 'has other line ends' : 'has other white space'),
}

const leadingZeros: ValueExplainer = {
  name: 'text.leading_zeros',
  match: (before, after) => (/^0+\d/.test(before) && before.replace(/^0+(?=\d)/, '') === after ? '' : null),
  says: () => 'has lost its leading zeros',
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escaped: ValueExplainer = {
  name: 'text.escaped',
  match: (before, after) => {
    if (before.replace(/[&<>"']/g, (c) => ENTITIES[c]!) === after) return 'HTML'
    if (before.replace(/['\\]/g, (c) => `\\${c}`) === after || before.replaceAll('\\', '\\\\') === after)
      return 'backslashes'
    return before.replaceAll("'", "''") === after ? 'quotes' : null
  },
  says: (how) => (how === null ? 'is escaped once too often' : `is escaped once too often (${how})`),
}

/** Most telling first. */
export const TEXT_EXPLAINERS: readonly ValueExplainer[] = [
  leadingZeros,
  trimmed,
  padded,
  cut,
  cutFront,
  lower,
  upper,
  otherCase,
  normalisation,
  misencoded,
  accents,
  whiteSpace,
  escaped,
]
