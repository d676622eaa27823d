/** A mapping proposed from two schemas and their constraints; what it proposes without a doubt is executed as it stands, on both. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { suggestMapping } from '../../replayer/rewrite/suggest.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog, readChecks } from '../../sql/read-catalog.js'
import { createDatabase } from '../support/database.js'
import { PARTITIONED } from './partition-world.js'
import { type Asked, createWorld, type WorldParts } from './world.js'

const dropped: (() => Promise<void>)[] = []
beforeAll(() => loadParser())
afterAll(() => Promise.all(dropped.map((drop) => drop())))

async function propose({ before, after }: Pick<WorldParts, 'before' | 'after'>): Promise<string> {
  const [old, now] = [await createDatabase(before), await createDatabase(before, after)]
  dropped.push(old.drop, now.drop)
  const mapping = suggestMapping(await readCatalog(old), await readCatalog(now), await readChecks(now))
  expect(() => parseMapping(mapping, 'mapping.yaml'), mapping).not.toThrow()
  return mapping
}

async function executeAsProposed(parts: Omit<WorldParts, 'mapping'>, statements: readonly Asked[]): Promise<string> {
  const mapping = await propose(parts)
  const world = await createWorld({ ...parts, mapping })
  try {
    for (const statement of statements) await world.compare([statement])
  } finally {
    await world.close()
  }
  return mapping
}

const CLINIC = `
  CREATE TABLE wards (ward_id int PRIMARY KEY, floor int);
  CREATE TABLE patients (id int PRIMARY KEY, ward int REFERENCES wards, doctor int, born date, nick text UNIQUE, words text);
  CREATE TABLE visits (visit_id int PRIMARY KEY, patient int NOT NULL REFERENCES patients, at date);
  INSERT INTO wards SELECT i, i FROM generate_series(1, 3) i;
  INSERT INTO patients SELECT i, 1 + i % 3, 90 + i, date '1980-01-01' + i, 'n' || i, 'w' || i FROM generate_series(1, 9) i;
  INSERT INTO visits SELECT i, 1 + i % 9, date '2025-01-01' + i FROM generate_series(1, 20) i;`

test('a table of which no name is left is known by who refers to it and to whom it refers; its columns by their constraints', async () => {
  const mapping = await executeAsProposed(
    {
      before: CLINIC,
      after: `
        CREATE TABLE audit (entry int PRIMARY KEY, sector int, physician int, birthday date, handle text, remark text);
        CREATE TABLE people (pid int PRIMARY KEY, physician int, sector int REFERENCES wards, birthday date, remark text, handle text UNIQUE);
        INSERT INTO people SELECT id, doctor, ward, born, words, nick FROM patients;
        ALTER TABLE visits DROP CONSTRAINT visits_patient_fkey;
        ALTER TABLE visits ADD FOREIGN KEY (patient) REFERENCES people;
        DROP TABLE patients;`,
      tables: {
        patients: 'SELECT pid, sector, physician, birthday, handle, remark FROM people',
        visits: 'SELECT * FROM visits',
      },
    },
    [
      'SELECT * FROM patients ORDER BY id',
      'SELECT p.nick, w.floor FROM patients p JOIN wards w ON w.ward_id = p.ward ORDER BY p.id',
      "UPDATE patients SET ward = 2, doctor = 7 WHERE nick = 'n3' RETURNING id, words",
      "INSERT INTO patients VALUES (50, 1, 2, '2000-01-01', 'new', 'text')",
    ],
  )
  expect(mapping).toMatch(/patients:.*\n {4}to: people/)
  expect(mapping).toContain('id: pid\n')
  expect(mapping).toContain('ward: sector\n')
  expect(mapping).toContain('nick: handle')
})

test('a table between two others, and a small one that others look like, are known by their references', async () => {
  const mapping = await propose({
    before: `
      CREATE TABLE post (id int PRIMARY KEY, body text);
      CREATE TABLE tag (id int PRIMARY KEY, name text);
      CREATE TABLE post_tag (post int REFERENCES post, tag int REFERENCES tag, PRIMARY KEY (post, tag));
      CREATE TABLE favourites (id int PRIMARY KEY, tag_id int REFERENCES tag);`,
    after: `
      CREATE TABLE a_setting (id int PRIMARY KEY, name text);
      ALTER TABLE tag RENAME TO labels;
      CREATE TABLE between (article int REFERENCES post, label int REFERENCES labels, PRIMARY KEY (article, label));
      DROP TABLE post_tag;`,
  })
  expect(mapping).toMatch(/ {2}tag:.*\n {4}to: labels/)
  expect(mapping).toMatch(/ {2}post_tag:.*\n {4}to: between\n {4}columns:\n {6}post: article\n {6}tag: label\n/)
  expect(mapping).not.toContain('partition')
})

test('columns that moved out of a table that stays are a split, the table first', async () => {
  const mapping = await executeAsProposed(
    {
      before: CLINIC,
      after: `
        CREATE TABLE alphabetical (id int PRIMARY KEY REFERENCES patients ON DELETE CASCADE, nick text UNIQUE, words text);
        CREATE TABLE unrelated (id int PRIMARY KEY, colour text);
        INSERT INTO alphabetical SELECT id, nick, words FROM patients;
        ALTER TABLE patients DROP COLUMN nick, DROP COLUMN words;`,
      tables: { patients: 'SELECT id, ward, doctor, born, nick, words FROM patients JOIN alphabetical USING (id)' },
    },
    [
      'SELECT nick, ward FROM patients ORDER BY id',
      "INSERT INTO patients (id, ward, nick) VALUES (50, 1, 'new') RETURNING *",
      "UPDATE patients SET ward = 3, words = upper(words) WHERE nick > 'n4'",
      'DELETE FROM patients WHERE id IN (SELECT id FROM patients EXCEPT SELECT patient FROM visits)',
    ],
  )
  expect(mapping).toContain('patients:\n    split: [patients, alphabetical]')
})

const PAPERS = `
  CREATE TABLE invoices (id int PRIMARY KEY, total numeric(10, 2), title text);
  CREATE TABLE receipts (id int PRIMARY KEY, total numeric(10, 2), title text);
  INSERT INTO invoices SELECT i, i * 10.5, 'invoice ' || i FROM generate_series(1, 5) i;
  INSERT INTO receipts SELECT i, i * 2.25, 'receipt ' || i FROM generate_series(101, 105) i;`
const MERGED_ROWS = `
  INSERT INTO documents SELECT id, 'invoice', total, title FROM invoices;
  INSERT INTO documents SELECT id, 'receipt', total, title FROM receipts;
  DROP TABLE invoices, receipts;`
const ON_PAPERS = [
  'SELECT * FROM invoices ORDER BY id',
  "INSERT INTO receipts VALUES (200, 3, 'r'), (201, 4, 's') RETURNING id",
  'UPDATE invoices SET total = total + 1 WHERE id > 2',
  'DELETE FROM receipts WHERE id < 103 RETURNING title',
  'SELECT count(*) FROM invoices, receipts',
]
const PAPER_TABLES = {
  invoices: `SELECT id, total, title FROM documents WHERE kind = 'invoice'`,
  receipts: `SELECT id, total, title FROM documents WHERE kind = 'receipt'`,
}

test.each([
  ['a CHECK', "kind text NOT NULL CHECK (kind IN ('invoice', 'receipt', 'offer'))", ''],
  ['an enum', 'kind paper NOT NULL', "CREATE TYPE paper AS ENUM ('offer', 'receipt', 'invoice');"],
])('tables whose rows lie in one now, told apart by %s, are merged', async (_, column, first) => {
  const after = `${first} CREATE TABLE documents (id int PRIMARY KEY, ${column}, total numeric(10, 2), title text); ${MERGED_ROWS}`
  const mapping = await executeAsProposed({ before: PAPERS, after, tables: PAPER_TABLES }, ON_PAPERS)
  expect(mapping).toContain(`where: "kind = 'invoice'"`)
  expect(mapping.slice(mapping.indexOf('version'))).not.toContain('unsure')
})

test('a merge that nothing tells apart is proposed for somebody to finish, never as a rule', async () => {
  const mapping = await propose({
    before: PAPERS,
    after: `CREATE TABLE documents (id int PRIMARY KEY, kind text NOT NULL, total numeric(10, 2), title text); ${MERGED_ROWS}`,
  })
  expect(mapping).toMatch(/# unsure: say which of its rows.*\n {2}# invoices:.*receipts\n {2}# {3}to: documents/)
  expect(parseMapping(mapping, 'mapping.yaml').tables).toEqual([])
})

test('a table that came to one that stays is merged with it', async () => {
  const mapping = await executeAsProposed(
    {
      before: PAPERS,
      after: `
        ALTER TABLE invoices ADD COLUMN kind text NOT NULL DEFAULT 'invoice' CHECK (kind IN ('invoice', 'receipt'));
        INSERT INTO invoices SELECT *, 'receipt' FROM receipts;
        DROP TABLE receipts;`,
      tables: {
        invoices: PAPER_TABLES.invoices.replace('documents', 'invoices'),
        receipts: PAPER_TABLES.receipts.replace('documents', 'invoices'),
      },
    },
    ON_PAPERS,
  )
  expect(mapping).toMatch(/ {2}invoices:.*\n {4}where: "kind = 'invoice'"/)
})

test('rows that lie in several tables are partitioned, where a CHECK says which lie where', async () => {
  const checked = (after: string) => `${after}
    ALTER TABLE clicks ADD CHECK (kind = 'click');
    ALTER TABLE purchases ADD CHECK (kind = 'buy');`
  const mapping = await executeAsProposed({ ...PARTITIONED, after: checked(PARTITIONED.after) }, [
    'SELECT * FROM events ORDER BY event_id',
    "INSERT INTO events (kind, amount, body) VALUES ('buy', 3, 'x'), ('other', 4, 'y'), ('click', 1, NULL)",
    'UPDATE events SET amount = amount + 1 WHERE event_id < 9 RETURNING event_id, body',
    'DELETE FROM events WHERE amount > 100',
  ])
  expect(mapping).toMatch(
    /events:\n {4}partition:\n {6}- \{ table: clicks, where: .*\n.*purchases.*\n {6}- \{ table: rest \}/,
  )
  const open = await propose(PARTITIONED)
  expect(open).toMatch(/# unsure: .*which lie where\n {2}# events:\n {2}# {3}partition:/)
  expect(parseMapping(open, 'mapping.yaml').tables).toEqual([])
})

test('two tables of one form under two new names are new names, no partitions and no merge', async () => {
  const mapping = await propose({
    before: PAPERS,
    after: 'ALTER TABLE invoices RENAME TO sales_invoices; ALTER TABLE receipts RENAME TO sales_receipts;',
  })
  expect(mapping).toMatch(/invoices:.*\n {4}to: sales_invoices/)
  expect(mapping).toMatch(/receipts:.*\n {4}to: sales_receipts/)
  expect(mapping).not.toContain('partition')
  expect(mapping).not.toContain('where')
})

test('partitions that the server keeps itself are no tables that statements ask for', async () => {
  const mapping = await propose({
    before: PAPERS,
    after: `
      DROP TABLE invoices;
      CREATE TABLE invoices (id int PRIMARY KEY, total numeric(10, 2), title text) PARTITION BY RANGE (id);
      CREATE TABLE invoices_low PARTITION OF invoices FOR VALUES FROM (0) TO (100);
      CREATE TABLE invoices_high PARTITION OF invoices DEFAULT;`,
  })
  expect(mapping).toContain('every table is where it was')
})

test('names that are no plain words come out as YAML and SQL want them', async () => {
  await executeAsProposed(
    {
      before: `CREATE TABLE "Größen" ("Id" int PRIMARY KEY, "two words" int, "null" text); INSERT INTO "Größen" VALUES (1, 2, 'x');`,
      after: `
        ALTER TABLE "Größen" RENAME TO "Größen: neu"; ALTER TABLE "Größen: neu" RENAME "two words" TO "two: words";
        ALTER TABLE "Größen: neu" ALTER "two: words" TYPE bigint;`,
      tables: { '"Größen"': 'SELECT "Id", "two: words"::int, "null" FROM "Größen: neu"' },
    },
    ['SELECT "two words", "null" FROM "Größen"', 'UPDATE "Größen" SET "two words" = 7 RETURNING *'],
  )
})
