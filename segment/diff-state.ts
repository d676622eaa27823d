/**
 * Table state in a diff: laid into the sealed file in one transaction, after it was made, because tables are compared when the replays
 * are over. A diff without it, of whatever age, is read as one that nobody verified.
 */
import type { Db } from './sqlite.js'
import type { StateFinding, StateReport } from './state.js'

const SCHEMA = `
DROP TABLE IF EXISTS state;
DROP TABLE IF EXISTS state_findings;
CREATE TABLE state (value TEXT NOT NULL);
CREATE TABLE state_findings (
  finding_id TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  object TEXT NOT NULL,
  sentence TEXT NOT NULL,
  value TEXT NOT NULL
);
`

/** Replaces what an earlier verification laid there. */
export function putState(db: Db, { findings, ...rest }: StateReport): void {
  db.transaction(() => {
    db.exec(SCHEMA)
    db.prepare<unknown[]>('INSERT INTO state VALUES (?)').run(JSON.stringify(rest))
    const insert = db.prepare<unknown[]>('INSERT INTO state_findings VALUES (?, ?, ?, ?, ?, ?)')
    for (const [position, finding] of findings.entries()) {
      const { findingId, kind, object, sentence } = finding
      insert.run(findingId, position, kind, object, sentence, JSON.stringify(finding))
    }
  })()
}

/** null: not verified. */
export function getState(db: Db): StateReport | null {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE name = 'state'").pluck().all()
  if (tables.length === 0) return null
  const rest = JSON.parse(db.prepare<[], string>('SELECT value FROM state').pluck().get()!) as Omit<
    StateReport,
    'findings'
  >
  const findings = db.prepare<[], string>('SELECT value FROM state_findings ORDER BY position').pluck().all()
  return { ...rest, findings: findings.map((json) => JSON.parse(json) as StateFinding) }
}
