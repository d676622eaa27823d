/**
 * Plans in a diff: laid into the sealed file after it was made, because explaining needs the databases and comparing does not.
 * A diff without them, of whatever age, is read as one of which nobody asked for plans.
 */
import type { PlanEvidence } from './explained.js'
import type { Db } from './sqlite.js'

const SCHEMA = `
DROP TABLE IF EXISTS plans;
CREATE TABLE plans (fingerprint TEXT PRIMARY KEY, position INTEGER NOT NULL, reading TEXT NOT NULL, value TEXT NOT NULL);
`

/**
 * Replaces what was laid there before. In the order given: what costs most first. `causes`: what findings say now that plans are known,
 * by their id.
 */
export function putPlans(db: Db, plans: readonly PlanEvidence[], causes: ReadonlyMap<string, string>): void {
  db.transaction(() => {
    db.exec(SCHEMA)
    const cause = db.prepare<unknown[]>(
      "UPDATE findings SET value = json_set(value, '$.cause', ?) WHERE finding_id = ?",
    )
    for (const [findingId, sentence] of causes) cause.run(sentence, findingId)
    const insert = db.prepare<unknown[]>('INSERT INTO plans VALUES (?, ?, ?, ?)')
    for (const [position, plan] of plans.entries())
      insert.run(plan.fingerprint, position, plan.reading, JSON.stringify(plan))
  })()
}

/** null: nobody asked. */
export function getPlans(db: Db): readonly PlanEvidence[] | null {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE name = 'plans'").pluck().all()
  if (tables.length === 0) return null
  const rows = db.prepare<[], string>('SELECT value FROM plans ORDER BY position').pluck().all()
  return rows.map((json) => JSON.parse(json) as PlanEvidence)
}
