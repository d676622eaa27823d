/**
 * The odd shop: what a schema may hold although no tutorial does, and an application that uses it.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const schemaPath = path('v1.sql')
export const policyPath = path('policy.yaml')

/** In every personal value, and nowhere else, as ../clinic/leaks.ts looks for it. */
const person = (n: number): string => `Zyxqvomu${String.fromCharCode(97 + n)}`

export async function loadOdd(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query(readFileSync(schemaPath, 'utf8'))
    for (let n = 0; n < 8; n++)
      await client.query(
        `INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname", "order", "user", postcode, "größe", "state", geworben_von, "a""b")
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          `${person(n)}@mail${n % 2}.example`,
          `${person(n)} Müller-${person(n + 8)}`,
          n % 3 === 0 ? null : `two ${person(n)}, please`,
          person(n),
          `ZQ-7391${n}`,
          `${160 + n}.50`,
          ['calm', 'in "quotes"', `it's`, 'ünï'][n % 4],
          n === 0 ? null : 1000,
          n % 2 === 0 ? '' : person(n),
        ],
      )
    await client.query(`
      BEGIN;
      INSERT INTO "select"."table" VALUES ('${person(0)}', 1, 'x', '${person(3)}'), ('${person(1)}', 2, NULL, NULL);
      INSERT INTO "select"."user" VALUES (1, '${person(0)}', 1, '${person(3)}'), (2, NULL, NULL, '${person(4)}'), (3, '${person(1)}', 2, NULL);
      COMMIT;
      INSERT INTO "Odd Shop".nothing DEFAULT VALUES;
      INSERT INTO "Odd Shop".nothing DEFAULT VALUES;
      INSERT INTO "Odd Shop".flüchtig VALUES (1, '${person(5)} was here');
      INSERT INTO "Odd Shop".booking VALUES ('A', '[2024-01-01,2024-01-02)', '${person(1)}'), ('A', '[2024-01-02,2024-01-03)', '${person(2)}');
      INSERT INTO "Odd Shop".ledger VALUES (1, '${person(6)}', 12.5, '2024-01-01'), (2, NULL, 1, NULL);
      INSERT INTO "Odd Shop".tenant_note VALUES ('${person(7)}', 'for ${person(7)} only'), ('other', 'x');
      INSERT INTO "Odd Shop".parent VALUES (1, '${person(1)}');
      INSERT INTO "Odd Shop".child VALUES (2, '${person(2)}', 'of ${person(1)}');
      REFRESH MATERIALIZED VIEW "Odd Shop".hosts;
      REFRESH MATERIALIZED VIEW "Odd Shop".names;`)
  } finally {
    await client.end()
  }
}

/** Statements that the masked copy must answer as production did, and after `LABELLED` those that it cannot. */
export const EXACT: readonly (readonly [sql: string, ...parameters: unknown[]])[] = [
  ['SELECT * FROM "Odd Shop"."Kunde" ORDER BY "Kunden Nr"'],
  [
    'SELECT "order", "user", "a""b" FROM "Odd Shop"."Kunde" AS "select" WHERE "select"."E-Mail" = $1',
    `${person(1)}@mail1.example`,
  ],
  [
    `SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE lower("E-Mail"::text) = '${person(2).toLowerCase()}@mail0.example'`,
  ],
  [`SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE "E-Mail" = '${person(2).toUpperCase()}@MAIL0.example'`],
  [
    `SELECT U&"gr\\00F6\\00DFe", "state" FROM "Odd Shop"."Kunde" WHERE "state" IN ('it''s', 'in "quotes"', E'\\u00fcn\\u00ef') ORDER BY 1`,
  ],
  ['SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE postcode = $1', 'ZQ-73913'],
  [
    `UPDATE "Odd Shop"."Kunde" SET postcode = 'AB-12345', "user" = $1 WHERE "user" = $2 RETURNING "Kunden Nr", "user", postcode`,
    'Zyxqvomuneu',
    person(3),
  ],
  [
    'SELECT k.*, w."E-Mail" FROM "Odd Shop"."Kunde" k JOIN "Odd Shop"."Kunde" w ON w."Kunden Nr" = k.geworben_von WHERE k."user" = $1',
    person(4),
  ],
  [
    'INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname", "user") VALUES ($1, $2, $3) RETURNING *',
    'neu_zyxqvomuz@mail9.example',
    'Neu Zyxqvomuz',
    'zyxqvomuz',
  ],
  [
    `INSERT INTO "Odd Shop"."Kunde" AS "on" ("E-Mail", "Vor- und Nachname") VALUES ($1, $2)
     ON CONFLICT (lower("E-Mail"::text)) DO UPDATE SET "order" = excluded."Vor- und Nachname" || '' RETURNING "on"."Kunden Nr"`,
    `${person(5)}@mail1.example`,
    'Anders Zyxqvomuy',
  ],
  [`SELECT * FROM "select"."table" ORDER BY "where"`],
  [`SELECT u.id FROM "select"."user" u JOIN "select"."table" t USING ("from", "where") WHERE t."from" = $1`, person(0)],
  [`SELECT "from" FROM "select"."user" "where" WHERE "where"."login" = '${person(4)}'`],
  [`UPDATE "select"."table" SET "from" = $1 WHERE "from" = $2 RETURNING *`, 'zyxqvomunew', person(1)],
  [`SELECT id, "from" FROM "select"."user" ORDER BY id`],
  ['SELECT FROM "Odd Shop".nothing'],
  ['INSERT INTO "Odd Shop".nothing DEFAULT VALUES'],
  ['SELECT count(*) FROM "Odd Shop".nothing'],
  ['TABLE "Odd Shop".flüchtig'],
  [`INSERT INTO "Odd Shop".flüchtig VALUES (2, $1) RETURNING *`, 'Zyxqvomub again'],
  [`SELECT guest FROM "Odd Shop".booking WHERE room = 'A' AND during @> '2024-01-02 12:00+00'::timestamptz`],
  [`SELECT * FROM "Odd Shop".ledger WHERE who = $1`, person(6)],
  [`INSERT INTO "Odd Shop".ledger VALUES (3, $1, 7, now()) RETURNING who`, person(2)],
  [`SELECT tableoid::regclass::text, who FROM "Odd Shop".ledger ORDER BY id`],
  [
    `SELECT nr, mail, "full name" FROM "Odd Shop"."Alle Kunden" WHERE "full name" = $1`,
    `${person(1)} Müller-${person(9)}`,
  ],
  [`SELECT name FROM "Odd Shop".names WHERE nr = 1007`],
  ['REFRESH MATERIALIZED VIEW CONCURRENTLY "Odd Shop".names'],
  [`SELECT nr FROM "Odd Shop".names WHERE name = 'Neu Zyxqvomuz'`],
  [`SELECT * FROM "Odd Shop".parent ORDER BY id`],
  [`SELECT * FROM "Odd Shop".child WHERE name = '${person(2)}'`],
  [`UPDATE "Odd Shop".parent SET name = $1 WHERE name = $2`, 'zyxqvomuc', person(2)],
  [`SELECT k FROM "Odd Shop"."Alle Kunden" k WHERE nr = 1014`],
  [`SELECT ROW("E-Mail", "Kunden Nr") FROM "Odd Shop"."Kunde" WHERE "Kunden Nr" = 1021`],
  [
    `SELECT json_agg(k) FROM (SELECT "E-Mail", "Vor- und Nachname" FROM "Odd Shop"."Kunde" WHERE "Kunden Nr" < 1020 ORDER BY "Kunden Nr") k`,
  ],
  [`SELECT * FROM "Odd Shop"."Find It"('${person(1)} Müller-${person(9)}')`],
  [`SELECT "select".tenant FROM "Odd Shop".tenant_note "select" WHERE "select".tenant = '${person(7)}'`],
  [`BEGIN`],
  [`SET CONSTRAINTS ALL DEFERRED`],
  [`UPDATE "select"."user" SET login = 'zyxqvomuq' WHERE login = $1 RETURNING id`, person(3)],
  [`UPDATE "select"."table" SET "limit" = 'zyxqvomuq' WHERE "limit" = '${person(3)}' RETURNING "where"`],
  [`COMMIT`],
]

/** Refused by constraints in production, and on the copy by the same. */
export const REFUSED: readonly (readonly [sql: string, ...parameters: unknown[]])[] = [
  [`INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname") VALUES ('no address', 'Zyxqvomu x')`],
  [`UPDATE "Odd Shop"."Kunde" SET postcode = 'zyxqvomu' WHERE "Kunden Nr" = 1000`],
  [
    `INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname") VALUES ('${person(0).toUpperCase()}@mail0.EXAMPLE', 'Zyxqvomu x')`,
  ],
  [`INSERT INTO "Odd Shop".booking VALUES ('A', '[2024-01-01,2024-01-05)', 'Zyxqvomub')`],
  [`INSERT INTO "select"."user" VALUES (9, 'zyxqvomub', NULL, NULL)`],
  [`INSERT INTO "select"."user" VALUES (9, 'zyxqvomub', 77, NULL)`],
  [
    `INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname", "user") VALUES ('q_zyxqvomu@x.example', 'Zyxqvomu', 'Z')`,
  ],
]

export const LABELLED: readonly (readonly [sql: string, ...parameters: unknown[]])[] = [
  ['SELECT * FROM "Odd Shop".short ORDER BY nr'],
  [`SELECT nr, login FROM "Odd Shop"."Alle Kunden" WHERE login LIKE 'ZYX%' ORDER BY nr`],
  ['SELECT mail_host, how_many, first FROM "Odd Shop".hosts ORDER BY mail_host'],
  [`SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE search LIKE 'zyxqvomub%'`],
  [`SELECT search, mail_host FROM "Odd Shop"."Kunde" ORDER BY "Kunden Nr"`],
  [`SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" WHERE mail_host = 'mail1.example' ORDER BY 1`],
  [`SELECT "Kunden Nr" FROM "Odd Shop"."Kunde" ORDER BY "Vor- und Nachname" LIMIT 3`],
]

export async function oddTraffic(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    for (const [text, ...values] of EXACT) await client.query(text, values as unknown[])
    for (const [text, ...values] of REFUSED) await client.query(text, values as unknown[]).catch(() => {})
    for (const [text, ...values] of LABELLED) await client.query(text, values as unknown[])
  } finally {
    await client.end()
  }
}
