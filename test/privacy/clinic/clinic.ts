/**
 * The clinic: a database of types that are hard to copy, to mask and to replay, and what its applications say to it.
 *
 * Every personal value in it is a canary: it holds a run of letters (or is a number) that nothing else holds, so that whoever looks
 * through bytes knows a leak when he sees one.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
export const schemaPath = path('v1.sql')
export const policyPath = path('policy.yaml')

/** In every word of every person. */
export const CORE = 'zyxqvomu'
/** `Zyxqvomua`, `Zyxqvomub`, …: no two alike. */
export const word = (n: number): string => `Z${CORE.slice(1)}${letters(n)}`
const low = (n: number): string => word(n).toLowerCase()
const mail = (n: number): string => `${word(n)}.O'${low(n)}@${low(n)}.example`.replace("'", '_')
const ssn = (n: number): string => `73918460${String(n).padStart(2, '0')}`
const phone = (n: number): string => `+49 (739) 1846-${String(n).padStart(4, '0')}`
const insurance = (n: number): string => `Q7391846${String(n).padStart(2, '0')}`

function letters(n: number): string {
  return n < 26 ? String.fromCharCode(97 + n) : letters(Math.floor(n / 26) - 1) + letters(n % 26)
}

/** Numbers and addresses that hold no word. */
export const NUMBERS: readonly string[] = [
  ...Array.from({ length: 60 }, (_, n) => [ssn(n), phone(n), insurance(n)]).flat(),
  '4739184600000006',
  '4739 1846 0000 0014',
  'GB33BUKB20201555555555',
  'GB33 BUKB 2020 1555 5555 55',
  '1931-07-29',
  '198.51.233.77',
  '7a7978c1-6d75-4a7b-9c1d-73918460aa01',
]

export async function loadClinic(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query(readFileSync(schemaPath, 'utf8'))
    await client.query(`ALTER DATABASE ${pg.escapeIdentifier(client.database!)} SET search_path = clinic, public`)
    await client.query('SET search_path = clinic, public')
    const insert = (table: string, columns: string, ...rows: unknown[][]) =>
      Promise.all(
        rows.map((row) =>
          client.query(`INSERT INTO ${table} (${columns}) VALUES (${row.map((_, at) => `$${at + 1}`)})`, row),
        ),
      )
    await insert(
      'doctor',
      'mail, name, initials, login, card, iban, badge, fee, flags, site, device',
      [
        mail(1),
        `${word(1)} Ä${word(1)}`,
        'ZY',
        low(1),
        '4739184600000006',
        'GB33BUKB20201555555555',
        '7a7978c1-6d75-4a7b-9c1d-73918460aa01',
        80.5,
        '1010',
        '(1,2)',
        '08:00:2b:01:02:03',
      ],
      [
        mail(2),
        `Dr. ${word(2)}`,
        null,
        low(2),
        '4739 1846 0000 0014',
        'GB33 BUKB 2020 1555 5555 55',
        '7a7978c1-6d75-4a7b-9c1d-73918460aa02',
        0,
        '0001',
        null,
        null,
      ],
    )
    await insert('person', 'name, born, ssn, phones, emails, home, previous, note', [
      `${word(3)} ${word(4)}`,
      '1931-07-29',
      ssn(3),
      [phone(3), phone(4)],
      [mail(3)],
      address(5),
      `{${quoted(address(6))},NULL}`,
      `a note on ${word(3)}`,
    ])
    for (let n = 10; n < 40; n += 1)
      await insert(
        'patient',
        'name, born, ssn, phones, emails, home, previous, note, mail, insurance, blood, allergies, attributes, ward, treated_by',
        [
          `${word(n)} ${word(n + 40)}`,
          n % 3 === 0 ? null : '1931-07-29',
          n % 4 === 0 ? null : ssn(n),
          [phone(n)],
          n % 2 === 0 ? [] : [mail(n), mail(n + 40)],
          address(n),
          `{${quoted(address(n + 40))}}`,
          n % 5 === 0 ? '' : `${word(n)} said "${low(n)}", call ${phone(n)}`,
          n === 33 ? null : mail(n),
          insurance(n),
          ['zero', 'a', 'b', 'ab'][n % 4],
          [word(n), `${low(n)} "pollen", etc`],
          `color => "${word(n)} x", rest => NULL`,
          `ward.${n % 3}`,
          n % 3 === 0 ? mail(1) : n % 3 === 1 ? mail(2) : null,
        ],
      )
    for (let n = 0; n < 40; n += 1)
      await client.query(
        `INSERT INTO visit (at, kind, patient, reason, vitals, letter, scan, ip, during)
         SELECT timestamptz '2023-06-01 10:00Z' + $1::int * interval '12 days', $2, id, $3, $4, $5, $6, $7, tstzrange(now(), now() + interval '1 hour')
           FROM patient ORDER BY id OFFSET $1::int % 30 LIMIT 1`,
        [
          n,
          n % 4 === 0 ? 'urgent' : 'planned',
          `${word(n)} hurts`,
          JSON.stringify({
            unit: 'bpm',
            pulse: 60 + n,
            nurse: { mail: mail(n), name: word(n) },
            [`k${n}`]: [word(n), { deep: low(n) }],
          }),
          `{"to": "${word(n)}",  "umlaut": "\\u00fc${low(n)}"}`,
          Buffer.from(`scan of ${word(n)}`),
          n % 5 === 0 ? null : '198.51.233.77',
        ],
      )
    await insert(
      'booking',
      'doctor, room, during, remark',
      [mail(1), 'R1', '[2024-01-01 10:00Z,2024-01-01 11:00Z)', `for ${word(7)}`],
      [mail(2), 'R1', '[2024-01-01 11:00Z,2024-01-01 12:00Z)', null],
    )
    await insert(
      'form',
      'titles, markup, names, spans, lasting, price, signed_by, answers',
      [
        [
          ['Dr', word(1)],
          [word(2), ''],
        ],
        `<a who="${word(3)}">${word(4)}<!-- ${word(5)} --></a>`,
        `[${low(6)},${low(7)})`,
        '{[1,3),[5,9)}',
        '1 mon',
        12.5,
        low(8),
        `{"{\\"a\\": \\"${word(9)}\\"}"}`,
      ],
      [null, null, 'empty', '{}', null, null, null, '{}'],
    )
    await client.query('REFRESH MATERIALIZED VIEW towns; ANALYZE')
  } finally {
    await client.end()
  }
}

function address(n: number): string {
  return `("${word(n)} street, ""${low(n)}""",12a,${word(n)},1999-01-0${1 + (n % 9)})`
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

type Ask = readonly [sql: string, ...parameters: unknown[]]

/** Answers that masking does not change: they are the same on the masked database, tokens for values. */
export const EXACT: readonly Ask[] = [
  // Equality, in every way of writing it.
  ['SELECT * FROM patient WHERE mail = $1', mail(10)],
  [`SELECT id, name FROM patient WHERE mail = '${mail(11)}' /* ${word(11)} */ -- ${word(12)}`],
  [`SELECT id FROM patient WHERE mail = U&'${mail(12).replace('Z', '\\005A')}'`],
  [`SELECT id FROM patient WHERE name = E'${word(13)}\\x20${word(53)}' OR insurance = $q$${insurance(14)}$q$`],
  [
    'SELECT name, contact, name_length FROM patient WHERE insurance = ANY($1) ORDER BY id',
    [insurance(15), insurance(16)],
  ],
  [`SELECT id FROM patient WHERE insurance IN ('${insurance(17)}', '${insurance(18)}') ORDER BY id`],
  ['SELECT id, ssn, born FROM person WHERE ssn = $1', ssn(3)],
  [`SELECT id, ssn, born FROM person WHERE ssn = ${ssn(11)}`],
  [
    'SELECT p.name, d.name, d.card, d.iban, d.badge FROM patient p JOIN doctor d ON d.mail = p.treated_by WHERE p.mail = $1',
    mail(12),
  ],
  [
    `WITH one AS (SELECT * FROM patient WHERE contact = lower('${mail(13)}')) SELECT o.name, (SELECT count(*) FROM visit v WHERE v.patient = o.id) FROM one o`,
  ],
  [
    'SELECT name FROM patient WHERE id IN (SELECT patient FROM visit WHERE ip = $1) ORDER BY id LIMIT 5',
    '198.51.233.77',
  ],
  ['SELECT count(*), count(DISTINCT name), count(DISTINCT mail), count(ssn) FROM patient'],
  ['SELECT treated_by, count(*) FROM patient GROUP BY treated_by ORDER BY count(*), min(id)'],
  [
    'SELECT * FROM card WHERE city = $1 UNION ALL SELECT * FROM card WHERE doctor = $2 AND id < 15 ORDER BY id',
    word(19),
    `Dr. ${word(2)}`,
  ],
  [`SELECT coalesce(mail, 'none'), name FROM patient WHERE id IN (20, 21, 25) ORDER BY id`],
  // Arrays, composites, documents, ranges.
  ['SELECT id, phones, emails, home, previous FROM patient WHERE $1 = ANY (emails)', mail(15)],
  ['SELECT id FROM patient WHERE phones @> $1', [phone(16)]],
  ['SELECT id FROM patient WHERE allergies && ARRAY[$1::citext]', word(17).toUpperCase()],
  ['SELECT id, (home).street, (home).house FROM patient WHERE (home).city = $1', word(18)],
  ['SELECT id, attributes -> $1 FROM patient WHERE id = 21', 'rest'],
  [
    "SELECT id, vitals ->> 'unit', vitals -> 'pulse', vitals #>> '{nurse,mail}' FROM visit WHERE vitals -> 'nurse' ->> 'mail' = $1 ORDER BY id",
    mail(5),
  ],
  [`SELECT id, letter FROM visit WHERE vitals @> '{"nurse": {"name": "${word(6)}"}}'`],
  ['SELECT id, scan FROM visit WHERE scan = $1', Buffer.from(`scan of ${word(8)}`)],
  [`SELECT id FROM visit WHERE scan = '\\x${Buffer.from(`scan of ${word(9)}`).toString('hex')}'`],
  ['SELECT id, at, kind, during && tstzrange(now(), NULL) FROM visit WHERE reason = $1', `${word(7)} hurts`],
  ["SELECT kind, count(*) FROM visit WHERE at >= '2023-08-01' AND at < '2024-02-01' GROUP BY kind ORDER BY kind"],
  ['SELECT number, room, during, remark FROM booking WHERE doctor = $1', mail(1)],
  ['SELECT id, titles, markup, spans, lasting, price, signed_by, answers FROM form ORDER BY id'],
  ['SELECT initials, login, fee, flags, site[0] FROM doctor WHERE login = $1', low(1)],
  ['SELECT blood, count(*) FROM patient GROUP BY blood ORDER BY blood'],
  // Writes.
  [
    'INSERT INTO patient (name, ssn, phones, mail, insurance, home, attributes, treated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id, name, mail, contact, blood',
    `${word(41)} ${word(81)}`,
    ssn(41),
    [phone(41)],
    mail(41),
    insurance(41),
    address(41),
    `a => "${word(41)}"`,
    mail(2),
  ],
  [
    `INSERT INTO patient (name, mail, insurance, home) VALUES ('${word(42)}', '${mail(42)}', '${insurance(42)}', ROW('${word(42)} lane', '3', '${word(42)}', '2001-02-03')), ('${word(43)}', '${mail(43)}', '${insurance(43)}', NULL) RETURNING id, home`,
  ],
  [
    'UPDATE patient SET name = $1, phones = array_append(phones, $2) WHERE mail = $3 RETURNING id, name, name_length, phones',
    word(44),
    phone(44),
    mail(14),
  ],
  [`UPDATE person SET home.city = '${word(45)}' WHERE ssn = ${ssn(15)}`],
  ['UPDATE doctor SET mail = $1 WHERE mail = $2', mail(46), mail(1)],
  ['SELECT count(*) FROM patient WHERE treated_by = $1', mail(46)],
  [
    `INSERT INTO doctor (mail, name) VALUES ('${mail(46)}', '${word(46)}') ON CONFLICT (mail) DO UPDATE SET name = excluded.name RETURNING mail, name`,
  ],
  [
    `INSERT INTO visit (at, patient, reason, vitals) SELECT '2024-05-05 10:00Z', id, '${word(47)} aches', jsonb_build_object('unit', 'kg', 'nurse', jsonb_build_object('name', '${word(47)}')) FROM patient WHERE mail = '${mail(20)}' RETURNING reason, vitals`,
  ],
  [
    `UPDATE visit SET vitals = jsonb_set(vitals, '{nurse,name}', '"${word(48)}"') WHERE reason = '${word(3)} hurts' RETURNING vitals #>> '{nurse,name}'`,
  ],
  [
    `MERGE INTO doctor d USING (VALUES ('${mail(2)}', '${word(49)}')) AS n(mail, name) ON d.mail = n.mail WHEN MATCHED THEN UPDATE SET name = n.name WHEN NOT MATCHED THEN INSERT (mail, name) VALUES (n.mail, n.name)`,
  ],
  ['DELETE FROM patient WHERE mail = $1', mail(21)],
  ['SELECT what, old_name, new_name FROM log ORDER BY id'],
  // Refused, with values in what the server says.
  ['INSERT INTO patient (name, mail, insurance) VALUES ($1, $2, $3)', word(50), mail(22), insurance(50)],
  [`INSERT INTO patient (name, ssn, insurance) VALUES ('${word(51)}', ${ssn(23)}, '${insurance(51)}')`],
  [
    'INSERT INTO booking (doctor, room, during) VALUES ($1, $2, $3)',
    mail(2),
    'R1',
    '[2024-01-01 10:30Z,2024-01-01 10:45Z)',
  ],
  ['UPDATE patient SET insurance = $1 WHERE mail = $2', `${insurance(52)}${insurance(52)}`, mail(23)],
  ['UPDATE patient SET treated_by = $1 WHERE mail = $2', mail(53), mail(23)],
  [`UPDATE patient SET blood = '${word(54)}' WHERE mail = '${mail(23)}'`],
  [`UPDATE doctor SET mail = '${word(55)} has none' WHERE mail = '${mail(2)}'`],
  [`INSERT INTO visit (at, patient, reason) VALUES ('1999-01-01', 10, '${word(56)}')`],
  [`SELECT refuse('${word(57)}')`],
  [`SELECT '${word(58)}'::int`],
  [`SELECT "${word(59)}" FROM patient`],
  [`SELECT name FROM patient WHERE name = '${word(60)}' AND AND`],
  [`INSERT INTO form (markup) VALUES ('<a>${word(61)}')`],
  [`INSERT INTO visit (at, patient, vitals) VALUES ('2024-01-01', 10, '{"a": ${word(62)}}')`],
]

/** Answers that hang on more of a value than its token keeps: a difference from production is said to come from the masking. */
export const LABELLED: readonly Ask[] = [
  ['SELECT id FROM patient WHERE name LIKE $1 ORDER BY id', `${word(24)}%`],
  [`SELECT id FROM patient WHERE mail ~* '^${low(25)}'`],
  ['SELECT id FROM patient ORDER BY name LIMIT 3'],
  ['SELECT min(name), max(mail) FROM patient'],
  ['SELECT substring(name, 6, 4), left(contact, 3) FROM patient WHERE id = 20'],
  ["SELECT name || ' <' || mail || '>' AS label FROM patient WHERE id = 22"],
  ['SELECT id, length(name), upper(name) FROM patient WHERE id = 23'],
  ['SELECT id FROM patient WHERE words @@ to_tsquery($1, $2)', 'simple', low(26)],
  ['SELECT id FROM patient WHERE name BETWEEN $1 AND $2 ORDER BY id', word(10), word(12)],
  ['SELECT id, words FROM patient WHERE id = 24'],
  ['SELECT id FROM form WHERE names @> $1::text', low(6)],
]

/** Everything above, and what is more than a statement: COPY, notices, notifications, cursors, several statements at once. */
export async function clinicTraffic(url: string): Promise<void> {
  const first = await open(url, `app of ${word(70)}`)
  const other = await open(url, 'reports')
  const ask = async (client: pg.Client, [text, ...values]: Ask) =>
    client.query({ text, values: [...values] } as pg.QueryConfig).catch(expected)
  try {
    for (const one of EXACT) await ask(first, one)
    for (const one of LABELLED) await ask(other, one)
    await first.query({
      name: `find ${word(71)}`,
      text: 'SELECT id, name FROM patient WHERE mail = $1',
      values: [mail(30)],
    })
    await first.query({
      text: 'SELECT patient.id, ssn, mail, vitals FROM patient JOIN visit ON patient = patient.id WHERE mail = $1',
      values: [mail(31)],
      binary: true,
    } as pg.QueryConfig)
    await first.query(
      `SET application_name = '${word(72)}'; SELECT id FROM patient WHERE mail = '${mail(32)}'; SELECT 1`,
    )
    await first.query(`SELECT set_config('app.user', '${word(73)}', false)`)
    await first.query(`LISTEN news; NOTIFY news, '${word(74)} has news'`)
    await first.query(`DO $$ BEGIN RAISE NOTICE 'met %', '${word(75)}'; END $$`)
    await first.query(
      `PREPARE byname (text) AS SELECT id FROM patient WHERE name = $1; EXECUTE byname('${word(34)} ${word(74)}')`,
    )
    await first.query(
      `BEGIN; DECLARE c CURSOR FOR SELECT name, note FROM patient WHERE id < 20 ORDER BY id; FETCH 4 FROM c; COMMIT`,
    )
    await first.query(`CREATE TEMPORARY TABLE seen AS SELECT mail, name FROM patient WHERE id < 15`)
    await first.query(`SELECT * FROM seen WHERE mail = '${mail(13)}'`)
    await first.query(`ALTER ROLE nobody_there PASSWORD '${word(76)}'`).catch(expected)
    // The second time it is refused.
    await copyIn(first, 'patient (name, mail, insurance, phones, note)', [
      [word(77), mail(77), insurance(44), `{"${phone(45)}"}`, `copied\\t${word(77)}`],
      [word(78), mail(78), insurance(45), '{}', '\\N'],
    ]).catch(expected)
    await copyIn(first, 'doctor (mail, name)', [[mail(2), word(79)]]).catch(expected)
    await textOf(first.query(copyTo('COPY patient (id, name, mail, home) TO STDOUT')))
    await textOf(
      first.query(
        copyTo(
          'COPY (SELECT name, scan FROM visit JOIN patient ON patient.id = patient) TO STDOUT (FORMAT csv, HEADER)',
        ),
      ),
    )
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await other.query('UPDATE patient SET note = $1 WHERE mail = $2', [`${word(80)} came late`, mail(35)])
    await other.query('SAVEPOINT s')
    await other.query('INSERT INTO doctor (mail, name) VALUES ($1, $2)', [mail(2), word(80)]).catch(expected)
    await other.query('ROLLBACK TO s; COMMIT')
  } finally {
    await first.end()
    await other.end()
  }
}

async function open(connectionString: string, application_name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name })
  await client.connect()
  return client
}

async function copyIn(client: pg.Client, into: string, rows: readonly (readonly string[])[]): Promise<void> {
  const sink = client.query(copyFrom(`COPY ${into} FROM STDIN`))
  Readable.from(rows.map((row) => `${row.join('\t')}\n`)).pipe(sink)
  await once(sink, 'finish')
}

/** The server may refuse; a slip of our own may not pass for that. */
function expected(error: unknown): void {
  if (!(error instanceof pg.DatabaseError)) throw error
}
