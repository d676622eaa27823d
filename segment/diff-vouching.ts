/** Fidelity and privacy audit in a diff, a row each. A diff without them, of whatever age, is one of which nobody asked. */
import type { Db } from './sqlite.js'
import type { Vouching } from './vouching.js'

/** Replaces what was laid there under the same name. */
export function putVouching<Name extends keyof Vouching>(db: Db, name: Name, value: NonNullable<Vouching[Name]>): void {
  db.transaction(() => {
    db.exec('CREATE TABLE IF NOT EXISTS vouching (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
    db.prepare<unknown[]>('INSERT OR REPLACE INTO vouching VALUES (?, ?)').run(name, JSON.stringify(value))
  })()
}

export function getVouching(db: Db): Vouching {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE name = 'vouching'").pluck().all()
  if (tables.length === 0) return { fidelity: null, audit: null }
  const rows = db.prepare<[], [string, string]>('SELECT name, value FROM vouching').raw().all()
  const found = new Map(rows.map(([name, json]) => [name, JSON.parse(json) as unknown]))
  const read = <Name extends keyof Vouching>(name: Name) => (found.get(name) ?? null) as Vouching[Name]
  return { fidelity: read('fidelity'), audit: read('audit') }
}
