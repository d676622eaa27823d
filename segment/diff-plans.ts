/**
 * Plans in a diff: laid into the sealed file after it was made, because explaining needs the databases and comparing does not.
 * A diff without them, of whatever age, is read as one of which nobody asked for plans.
 */
import type { Finding } from './diff.js'
import type { PlanEvidence } from './explained.js'
import type { Db } from './sqlite.js'

const SCHEMA = `
DROP TABLE IF EXISTS plans;
CREATE TABLE plans (fingerprint TEXT PRIMARY KEY, position INTEGER NOT NULL, reading TEXT NOT NULL, value TEXT NOT NULL);
`

/** What plans make of findings: those that say more now, and those that turned out to be another one, by their id. */
export type Reread = { readonly findings: readonly Finding[]; readonly joined: ReadonlyMap<string, string> }

/** Replaces what was laid there before. In the order given: what costs most first. */
export function putPlans(db: Db, plans: readonly PlanEvidence[], { findings, joined }: Reread): void {
  db.transaction(() => {
    db.exec(SCHEMA)
    const say = db.prepare<unknown[]>('UPDATE findings SET value = ? WHERE finding_id = ?')
    for (const finding of findings) say.run(JSON.stringify(finding), finding.findingId)
    const move = db.prepare<unknown[]>('UPDATE comparator_discrepancy_log SET finding_id = ? WHERE finding_id = ?')
    const remove = db.prepare<unknown[]>('DELETE FROM findings WHERE finding_id = ?')
    for (const [from, to] of joined) {
      move.run(to, from)
      remove.run(from)
    }
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
