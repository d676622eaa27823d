/**
 * Dictionaries: what repeats (column sets, message shapes, texts) is kept once per file and named by a number.
 *
 * After a failed batch the file has forgotten entries that memory still knows: reload() makes both agree again.
 */

import type { Masking } from './masking.js'
import type { Db, Insert } from './sqlite.js'
import type { SafeSql } from './statement.js'

/** The writing side, for plain data: equal JSON is the same entry. */
export class JsonDictionary<T extends object> {
  readonly #db: Db
  readonly #table: string
  readonly #insert: Insert
  #byJson = new Map<string, number>()
  /** Callers pass the same array again and again; then not even the JSON is made. */
  #byIdentity = new WeakMap<T, number>()

  constructor(db: Db, table: string) {
    this.#db = db
    this.#table = table
    this.#insert = db.prepare<unknown[]>(`INSERT INTO ${table} (id, value) VALUES (?, ?)`)
  }

  id(value: T): number {
    const known = this.#byIdentity.get(value)
    if (known !== undefined) return known
    const id = this.idOfEqual(value)
    this.#byIdentity.set(value, id)
    return id
  }

  /** For a value that was made for this call: it will not come again. */
  idOfEqual(value: T): number {
    const json = JSON.stringify(value)
    let id = this.#byJson.get(json)
    if (id === undefined) {
      id = this.#byJson.size + 1
      this.#insert.run(id, json)
      this.#byJson.set(json, id)
    }
    return id
  }

  reload(): void {
    this.#byIdentity = new WeakMap()
    const rows = this.#db.prepare<[], [number, string]>(`SELECT id, value FROM ${this.#table}`).raw().all()
    this.#byJson = new Map(rows.map(([id, json]) => [json, id]))
  }
}

/** The reading side: entries are parsed when first met. */
export class JsonLookup<T> {
  readonly #get: (id: number) => string | undefined
  readonly #known = new Map<number, T>()

  constructor(db: Db, table: string) {
    const statement = db.prepare<[number], string>(`SELECT value FROM ${table} WHERE id = ?`).pluck()
    this.#get = (id) => statement.get(id)
  }

  value(id: number): T {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const json = this.#get(id)
    if (json === undefined) throw new Error(`dictionary entry ${id} is missing`)
    const value = JSON.parse(json) as T
    this.#known.set(id, value)
    return value
  }
}

export type Text = {
  readonly sql: SafeSql
  readonly fingerprint: string
  readonly masking: Masking | undefined
}

/** Texts with their fingerprints, and what masking means for them. */
export class TextDictionary {
  readonly #db: Db
  readonly #insert: Insert
  readonly #insertMasking: Insert
  readonly #maskings: JsonDictionary<Masking>
  #bySql = new Map<string, { id: number; fingerprint: string }>()
  #count = 0

  constructor(db: Db) {
    this.#db = db
    this.#insert = db.prepare<unknown[]>('INSERT INTO texts (id, sql, fingerprint) VALUES (?, ?, ?)')
    this.#insertMasking = db.prepare<unknown[]>('INSERT INTO text_masking (text_id, masking_id) VALUES (?, ?)')
    this.#maskings = new JsonDictionary(db, 'masking')
  }

  id(sql: SafeSql, fingerprint: string, masking?: Masking): number {
    const known = this.#bySql.get(sql)
    if (known !== undefined && known.fingerprint === fingerprint) return known.id
    this.#count += 1
    this.#insert.run(this.#count, sql, fingerprint)
    if (masking !== undefined) this.#insertMasking.run(this.#count, this.#maskings.id(masking))
    this.#bySql.set(sql, { id: this.#count, fingerprint })
    return this.#count
  }

  reload(): void {
    const rows = this.#db.prepare<[], [number, string, string]>('SELECT id, sql, fingerprint FROM texts').raw().all()
    this.#bySql = new Map(rows.map(([id, sql, fingerprint]) => [sql, { id, fingerprint }]))
    this.#count = rows.length
    this.#maskings.reload()
  }
}

export class TextLookup {
  readonly #get: (id: number) => [string, string] | undefined
  readonly #maskings: Maskings
  readonly #known = new Map<number, Text>()

  constructor(db: Db) {
    const statement = db.prepare<[number], [string, string]>('SELECT sql, fingerprint FROM texts WHERE id = ?').raw()
    this.#get = (id) => statement.get(id)
    this.#maskings = new Maskings(db)
  }

  value(id: number): Text {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const row = this.#get(id)
    if (row === undefined) throw new Error(`text ${id} is missing`)
    const value = { sql: row[0] as SafeSql, fingerprint: row[1], masking: this.#maskings.of(id) }
    this.#known.set(id, value)
    return value
  }
}

/** Segments of the first release have none. */
class Maskings {
  readonly #idOf: (textId: number) => number | undefined
  readonly #lookup: JsonLookup<Masking> | null

  constructor(db: Db) {
    const there = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE name = 'text_masking'").get()
    const statement =
      there === undefined
        ? null
        : db.prepare<[number], number>('SELECT masking_id FROM text_masking WHERE text_id = ?').pluck()
    this.#idOf = (textId) => statement?.get(textId)
    this.#lookup = there === undefined ? null : new JsonLookup(db, 'masking')
  }

  of(textId: number): Masking | undefined {
    const id = this.#idOf(textId)
    return id === undefined ? undefined : this.#lookup?.value(id)
  }
}
