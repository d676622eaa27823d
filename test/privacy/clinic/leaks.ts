/**
 * Looking for the clinic's canaries in bytes, whatever they are wrapped in.
 *
 * Deliberately not what `policy audit` is made of: two ways of looking miss different things. Every file is looked at as it lies on the
 * disk and again for all that can be taken out of it: rows of SQLite (also of what a killed process left, with its -wal and -journal),
 * gzip, deflate, brotli and base64, one inside the other.
 */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { CORE, NUMBERS } from './clinic.js'

export type Leak = { readonly file: string; readonly place: string; readonly form: string; readonly around: string }

type Form = { readonly form: string; readonly needle: string }

const CASES = [CORE, CORE.toUpperCase(), CORE[0]!.toUpperCase() + CORE.slice(1)]

/** In lower case, because the text that is searched is. */
const WORDS: readonly Form[] = [
  { form: 'as it is', needle: CORE },
  { form: 'escaped for JSON', needle: escaped((code) => `\\u${code.toString(16).padStart(4, '0')}`) },
  { form: 'escaped for a URL', needle: escaped((code) => `%${code.toString(16)}`) },
  { form: 'escaped for HTML', needle: escaped((code) => `&#${code};`) },
  ...CASES.map((text) => ({ form: 'hex', needle: hex(text) })),
]

/** Few, so that all bytes can be searched for them: what all numbers of a kind have in common; then it must be the whole number. */
const STARTS = ['7391846', '(739) 1846', '4739 1846', 'bukb', '1931-07-29', '198.51.233.77', '7a7978c1-6d75']
const NUMBERS_LOW: readonly Form[] = NUMBERS.flatMap((text) => {
  const needle = text.toLowerCase()
  return [
    { form: 'as it is', needle },
    { form: 'hex', needle: hex(text) },
  ]
})

/** Case matters here. What stands before shifts the letters, so each is looked for in three ways. */
const BASE64: readonly Form[] = CASES.flatMap((text) =>
  [0, 1, 2].map((shift) => {
    const whole = Buffer.from('\0'.repeat(shift) + text).toString('base64')
    const [from, to] = [Math.ceil((shift * 8) / 6), Math.floor(((shift + text.length) * 8) / 6)]
    return { form: 'base64', needle: whole.slice(from, to) }
  }),
)

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

function escaped(of: (code: number) => string): string {
  return [...CORE].map((letter) => of(letter.charCodeAt(0))).join('')
}

/** The first leak of each file, place and form. */
export function leaksUnder(path: string): readonly Leak[] {
  const found = new Map<string, Leak>()
  for (const file of filesUnder(path))
    for (const { place, bytes } of insides(file))
      for (const { form, around } of searchedOnce(bytes)) {
        const key = `${file} ${place} ${form}`
        if (!found.has(key)) found.set(key, { file, place, form, around })
      }
  return [...found.values()]
}

type Seen = readonly { readonly form: string; readonly around: string }[]

/** Less than that is looked at sooner than it is known again. */
const PAGE = 8192

/** A server's databases are copies of each other, and most of their files are equal: equal bytes hold the same. */
const known = new Map<string, Seen>()

function searchedOnce(bytes: Buffer): Seen {
  if (bytes.length < PAGE) return told(bytes)
  const name = createHash('sha256').update(bytes).digest('base64')
  let seen = known.get(name)
  if (seen === undefined) {
    seen = told(bytes)
    known.set(name, seen)
  }
  return seen
}

function told(bytes: Buffer): Seen {
  return search(bytes).map(({ form, at, text }) => ({
    form,
    // Copied, or it would hold on to all of the text.
    around: Buffer.from(text.slice(Math.max(0, at - 60), at + 60)).toString(),
  }))
}

/** Forms in which one of the canaries stands in these bytes. */
export function search(
  bytes: Buffer,
): readonly { readonly form: string; readonly at: number; readonly text: string }[] {
  const found: { form: string; at: number; text: string }[] = []
  const look = (text: string, forms: readonly Form[], how = '') => {
    for (const { form, needle } of forms) {
      const at = text.indexOf(needle)
      if (at >= 0) found.push({ form: how || form, at, text })
    }
  }
  const text = bytes.toString('latin1')
  const low = text.toLowerCase()
  look(low, WORDS)
  if (STARTS.some((start) => low.includes(start) || low.includes(hex(start)))) look(low, NUMBERS_LOW)
  look(text, BASE64)
  // UTF-16 and UTF-32, either way round.
  if (bytes.includes(0)) look(low.replaceAll('\0', ''), WORDS.slice(0, 1), 'wide letters')
  return found
}

export function filesUnder(path: string): readonly string[] {
  const entry = lstatSync(path, { throwIfNoEntry: false })
  if (entry === undefined) return []
  if (entry.isFile()) return [path]
  return entry.isDirectory() ? readdirSync(path).flatMap((name) => filesUnder(join(path, name))) : []
}

/** A server's own files hold rows as they are, and there are many. */
function isServers(file: string): boolean {
  return /\/postgres\/(base|global|pg_wal|pg_xact)\//.test(file)
}

type Inside = { readonly place: string; readonly bytes: Buffer }

function* insides(file: string): Generator<Inside> {
  // The name as well: a file called after a value is a leak.
  yield { place: 'its name', bytes: Buffer.from(basename(file)) }
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  yield* unwrapped({ place: 'its bytes', bytes }, isServers(file) ? 0 : 3)
  if (bytes.toString('latin1', 0, 15) === 'SQLite format 3') yield* cells(file)
}

function* unwrapped(inside: Inside, depth: number): Generator<Inside> {
  yield inside
  if (depth === 0) return
  for (const [how, bytes] of unpackings(inside.bytes))
    yield* unwrapped({ place: `${inside.place}, ${how}`, bytes }, depth - 1)
}

const SIZE_MAX = { maxOutputLength: 1 << 28 }

function* unpackings(bytes: Buffer): Generator<readonly [how: string, bytes: Buffer]> {
  const attempts: readonly (readonly [string, () => Buffer])[] =
    bytes[0] === 0x1f && bytes[1] === 0x8b
      ? [['gzip', () => gunzipSync(bytes, { ...SIZE_MAX, finishFlush: 2 })]]
      : [
          ['brotli', () => brotliDecompressSync(bytes, SIZE_MAX)],
          ['brotli after a byte', () => brotliDecompressSync(bytes.subarray(1), SIZE_MAX)],
          ['deflate', () => inflateSync(bytes, SIZE_MAX)],
          ['raw deflate', () => inflateRawSync(bytes, SIZE_MAX)],
        ]
  for (const [how, attempt] of attempts) {
    let out: Buffer
    try {
      out = attempt()
    } catch {
      continue
    }
    if (out.length > 0) yield [how, out]
  }
  for (const [text] of bytes.toString('latin1').matchAll(/[A-Za-z0-9+/_-]{40,}={0,2}/g)) {
    const plain = Buffer.from(text, 'base64')
    if (plain.length > 0) yield ['base64', plain]
  }
}

/** From a copy, because opening it would mend what a killed process left. */
function* cells(file: string): Generator<Inside> {
  const folder = mkdtempSync(join(tmpdir(), 'leaks-'))
  const copy = join(folder, 'copy')
  try {
    for (const suffix of ['', '-wal', '-journal', '-shm'])
      if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix)
    const db = new Database(copy)
    try {
      const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
      for (const { name } of tables)
        for (const row of db.prepare<[], Record<string, unknown>>(`SELECT * FROM "${name}"`).iterate())
          for (const [column, cell] of Object.entries(row))
            if (typeof cell === 'string' || Buffer.isBuffer(cell))
              yield* unwrapped({ place: `${name}.${column}`, bytes: Buffer.from(cell as string) }, 2)
    } finally {
      db.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
