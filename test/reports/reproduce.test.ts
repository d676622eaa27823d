import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeMarker } from '../../replayer/shadow/marker.js'
import { literal, standalone, withValues } from '../../reports/psql-text.js'
import { reproduceScript } from '../../reports/reproduce.js'
import type { Discrepancy } from '../../segment/diff.js'
import { createDiff } from '../../segment/diff-file.js'
import { loadParser } from '../../sql/parse.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { pgrehearse } from './command-line.js'
import { sample } from './sample.js'

const TABLE = 'CREATE TABLE users (user_id int PRIMARY KEY, email text, tags text[])'
const ROWS = `INSERT INTO users SELECT n, 'alexandrina.' || n || '@mail.example.com', '{a,b,c}' FROM generate_series(1, 5) n`

let v1: TestDatabase
let v2: TestDatabase
let folder: string

beforeAll(async () => {
  await loadParser()
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-reproduce-'))
  v1 = await createDatabase(TABLE, ROWS)
  v2 = await createDatabase(TABLE, ROWS, 'UPDATE users SET email = left(email, 16) WHERE user_id > 1')
})
afterAll(async () => {
  await Promise.all([v1?.drop(), v2?.drop()])
  rmSync(folder, { recursive: true, force: true })
})

/** The npm package of PostgreSQL has no client tools, so what psql makes of a script is tested where there is one. */
const HAS_PSQL = (process.env.PATH ?? '').split(delimiter).some((place) => existsSync(join(place, 'psql')))

const plainOne = [...sample({ kind: 'FAIL', discrepancies: 40 }).discrepancies()][0]!

function discrepancy(sql: string, parameters: (string | null)[] = [], rest: Partial<Discrepancy> = {}): Discrepancy {
  return { ...plainOne, mismatch: 'SEMANTIC_MISMATCH', subKind: 'values', sql, parameters, ...rest }
}

function scriptOf(one: Discrepancy, urls: { before: string; after: string } | null = null): string {
  const statement = standalone(one.sql)
  if (statement.refusal !== null) throw new Error(statement.refusal)
  return reproduceScript(one, statement, urls)
}

/** What a real psql makes of the script; unaligned, so that values can be found whole. */
function psql(script: string, ...args: string[]): string {
  const file = join(folder, 'script.sql')
  writeFileSync(file, script)
  const env = { ...process.env, PGPASSWORD: decodeURIComponent(new URL(v1.url).password) }
  return execFileSync('psql', ['-X', '-w', '-A', '-t', ...args, '-f', file, v1.url], {
    encoding: 'utf8',
    stdio: 'pipe',
    env,
  })
}

async function state(): Promise<unknown> {
  const all = await Promise.all([v1, v2].map((db) => db.query('SELECT * FROM users ORDER BY 1')))
  return all.map(({ rows }) => rows)
}

describe.runIf(HAS_PSQL)('the script', () => {
  const one = discrepancy('SELECT email FROM users WHERE user_id = ANY($1) ORDER BY user_id', ['{2,3}'])

  test('says what it is about, and shows the statement with its parameters', () => {
    const script = scriptOf(one)
    expect(script).toContain(`-- trace  ${one.traceId}`)
    expect(script).toContain(`-- cause  ${one.cause}`)
    expect(script).toContain("EXECUTE pgrehearse(\n  '{2,3}'\n);")
    expect(script.match(/^BEGIN;$/gm)).toHaveLength(2)
    expect(script.match(/^ROLLBACK;$/gm)).toHaveLength(2)
  })

  test('psql shows V1, then V2', () => {
    const out = psql(scriptOf(one), '-v', `v2=${v2.url}`)
    expect(out).toMatch(
      /=== V1 ===[\s\S]*alexandrina\.2@mail\.example\.com\n[\s\S]*=== V2 ===[\s\S]*alexandrina\.2@ma\n/,
    )
  })

  test('without the second database psql stops after V1 and says how to go on', () => {
    const out = psql(scriptOf(one))
    expect(out).toContain('alexandrina.2@mail.example.com')
    expect(out).toContain('-v v2=URL-OF-V2')
    expect(out).not.toContain('=== V2')
  })

  test('with both URLs it connects by itself, and holds no password', () => {
    const withPassword = Object.assign(new URL(v2.url), { password: 'secret' }).toString()
    const script = scriptOf(one, { before: v1.url, after: withPassword })
    expect(script).not.toContain('secret')
    expect(psql(script)).toMatch(/=== V2 ===[\s\S]*alexandrina\.2@ma\n/)
  })

  test('leaves nothing behind', async () => {
    const before = await state()
    const out = psql(scriptOf(discrepancy('DELETE FROM users WHERE user_id > $1', ['0'])), '-v', `v2=${v2.url}`)
    expect(out.match(/DELETE 5/g)).toHaveLength(2)
    expect(await state()).toEqual(before)
  })

  test('what V2 cannot even prepare is refused once, without a second complaint', () => {
    const file = join(folder, 'missing.sql')
    writeFileSync(file, scriptOf(discrepancy('SELECT nothing FROM users WHERE user_id = $1', ['1'])))
    const said = execFileSync('sh', ['-c', 'psql -X -f "$0" "$1" 2>&1', file, v1.url], { encoding: 'utf8' })
    expect(said.match(/ERROR:/g)).toHaveLength(1)
    expect(said).toContain('column "nothing" does not exist')
  })

  test('a slower statement is shown with its plan', () => {
    const slow = discrepancy('SELECT email FROM users WHERE user_id = $1', ['1'], { mismatch: 'LATENCY_SPIKE' })
    expect(psql(scriptOf(slow))).toMatch(/Scan[\s\S]*Execution Time/)
  })

  test.each([
    {
      name: 'a slice is no variable of psql',
      sql: 'SELECT tags[1:PORT] FROM users, (SELECT 2 AS port) p WHERE user_id = $1',
    },
    {
      name: 'a comment at the end does not swallow the rest',
      sql: 'SELECT tags[1: 2] FROM users WHERE user_id = $1 -- all',
    },
    { name: 'a semicolon of its own', sql: 'SELECT tags[1: 2] FROM users WHERE user_id = $1 ; -- all' },
    { name: 'unseen characters', sql: "SELECT tags[1:2],\r\n '\u202e\u0007' FROM users WHERE user_id = $1" },
  ])('$name', ({ sql }) => {
    expect(psql(scriptOf(discrepancy(sql, ['1'])), '-v', `v2=${v2.url}`).match(/\{a,b\}/g)).toHaveLength(2)
  })
})

/** Values and texts made to end a literal, a line or a comment, to start a command of psql or to steer a terminal. */
const HOSTILE = [
  `'; DROP TABLE users; --`,
  `\\'; DROP TABLE users; --`,
  `\\! touch pwned`,
  `x\n\\! touch pwned\n\\q`,
  `:'HOME' :"USER" :PORT :{?PORT} \`id\``,
  `$$ $pgrehearse$ E'\\'' /* */ -- \\`,
  `\u001b[2J\u202e\u0085\ufeff\u{e0041}\r\n`,
  `'' \\ " %s {} \\x27 \\047 \\u0027`,
]

describe.runIf(HAS_PSQL)('hostile text', () => {
  test.each(HOSTILE)('%j as a parameter comes back as it went in', (value) => {
    const out = psql(scriptOf(discrepancy('SELECT convert_to($1, $2)', [value, 'UTF8'])))
    expect(out).toContain(`\\x${Buffer.from(value).toString('hex')}\n`)
  })

  test.each(HOSTILE)('%j within a statement comes back as it went in', (value) => {
    const sql = `SELECT convert_to('${value.replaceAll("'", "''")}', 'UTF8') /* ${value.replace(/[*/]/g, '')} */`
    expect(psql(scriptOf(discrepancy(sql)))).toContain(`\\x${Buffer.from(value).toString('hex')}\n`)
  })

  test.each(HOSTILE)('%j in the header stays a comment', async (value) => {
    const before = await state()
    const script = scriptOf(discrepancy('SELECT 42', [], { cause: value, traceId: value, alertId: value }))
    expect(psql(script, '-v', `v2=${v2.url}`).match(/^42$/gm)).toHaveLength(2)
    expect(await state()).toEqual(before)
  })

  test('nothing in the script can steer a terminal', () => {
    for (const value of HOSTILE) {
      const script = scriptOf(discrepancy(`SELECT '${value.replaceAll("'", "''")}', $1`, [value], { cause: value }))
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(script).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\ufeff]/)
    }
  })
})

test.each([
  { sql: 'COMMIT', why: /transaction/ },
  { sql: 'SELECT 1; DROP TABLE users', why: /2 statements/ },
  { sql: ' ', why: /no text/ },
  { sql: 'SELEC 1', why: /refuses/ },
  { sql: 'COPY users FROM STDIN', why: /data/ },
  { sql: "COPY users TO '/tmp/x'", why: /files/ },
  { sql: "COPY users TO PROGRAM 'cat'", why: /files/ },
  { sql: 'EXECUTE s1(1)', why: /session/ },
  { sql: 'FETCH 10 FROM c', why: /session/ },
])('$sql cannot be shown by itself', ({ sql, why }) => {
  expect(standalone(sql).refusal).toMatch(why)
})

test('what cannot be prepared gets its values as literals', () => {
  expect(standalone('CALL close_day($1, $2)')).toMatchObject({ preparable: false })
  expect(withValues(`CALL close_day($1, '$2', $2)`, ["o'clock", null])).toBe(`CALL close_day('o''clock', '$2', NULL)`)
  expect(standalone('SELECT * INTO copy FROM users')).toMatchObject({ preparable: false })
  expect(literal('a\\b')).toBe(`E'a\\\\b'`)
})

describe('the command', () => {
  const path = () => join(folder, 'shop.diff')
  const run = (...args: string[]) => pgrehearse(folder, 'reproduce', ...args)
  const both = () => ['--before', v1.url, '--after', v2.url, '--run']

  beforeAll(() => {
    const source = sample({ kind: 'FAIL', discrepancies: 40 })
    const diff = createDiff(path())
    const [finding] = source.findings()
    diff.finding({ ...finding!, findingId: 'f-1', exampleAlertIds: ['a-1'] })
    const asked = discrepancy('SELECT user_id, email FROM users WHERE user_id < $1 ORDER BY 1', ['4'])
    diff.discrepancy({ ...asked, findingId: 'f-1', alertId: 'a-1' })
    const write = { sql: 'UPDATE users SET email = upper(email) RETURNING user_id', parameters: [] }
    diff.discrepancy({ ...asked, ...write, findingId: 'f-1', alertId: 'a-2' })
    diff.discrepancy({ ...asked, sql: 'COMMIT', parameters: [], findingId: 'f-1', alertId: 'a-3' })
    diff.close(source.facts)
  })

  test('prints the script, for an alert or for the first example of a finding', async () => {
    const byAlert = await run(path(), 'a-1')
    expect(byAlert).toMatchObject({ exit: 0, err: '' })
    expect(byAlert.out).toMatch(/^-- pgrehearse reproduce[\s\S]*ROLLBACK;\n$/)
    expect((await run(path(), 'f-1')).out).toBe(byAlert.out)
  })

  test('an unknown id is refused, and says how ids are found', async () => {
    const { exit, out, err } = await run(path(), 'a-9')
    expect({ exit, out }).toEqual({ exit: 2, out: '' })
    expect(err).toMatch(/NO_SUCH_DISCREPANCY[\s\S]*an id looks like a-\d[\s\S]*--csv FILE/)
  })

  test('what is no diff is refused', async () => {
    writeFileSync(join(folder, 'no.diff'), 'hello')
    expect((await run(join(folder, 'no.diff'), 'a-1')).err).toContain('NOT_A_DIFF')
    expect((await run(join(folder, 'none.diff'), 'a-1')).exit).toBe(2)
  })

  test('a statement that would end the transaction is refused', async () => {
    expect((await run(path(), 'a-3')).err).toMatch(/CANNOT_REPRODUCE[\s\S]*roll back its own/)
  })

  test('--run needs both databases', async () => {
    expect((await run(path(), 'a-1', '--run', '--before', v1.url)).err).toMatch(/--after URL.*OPTION_MISSING/)
  })

  test('--run touches no database that is not marked as a shadow', async () => {
    expect(await run(path(), 'a-1', ...both())).toMatchObject({ exit: 2, out: '' })
  })

  test('a database that cannot be reached is exit code 4', async () => {
    const nowhere = 'postgres://nobody@127.0.0.1:1/shop'
    const { exit, err } = await run(path(), 'a-1', '--run', '--before', nowhere, '--after', v2.url)
    expect(exit).toBe(4)
    expect(err).toContain('SERVER_UNREACHABLE')
  })

  describe('on marked databases', () => {
    beforeAll(async () => {
      const marker = { snapshotId: 's', createdAtMs: 0, policyHash: '', keyFingerprint: '' }
      await writeMarker(v1, v1.name, { ...marker, role: 'golden' })
      await writeMarker(v2, v2.name, { ...marker, role: 'shadow' })
    })

    test('--run shows both results and marks the cells that differ', async () => {
      const { exit, out } = await run(path(), 'a-1', ...both())
      expect(exit).toBe(0)
      expect(out).toMatch(/V1 {2}answered SELECT, 3 rows in .*\nV2 {2}answered SELECT, 3 rows/)
      expect(out).toContain('email *')
      expect(out).toContain('alexandrina.2@ma[-il.example.com-]')
      expect(out).toContain('1 row is equal on both sides')
    })

    test('--run leaves nothing behind, and a golden is not written at all', async () => {
      const before = await state()
      const { out } = await run(path(), 'a-2', ...both())
      expect(out).toContain('V1  refused with 25006')
      expect(out).toContain('V2  answered UPDATE, 5 rows')
      expect(await state()).toEqual(before)
    })

    test('--json gives both answers', async () => {
      const { out } = await run(path(), 'a-1', ...both(), '--json')
      expect(JSON.parse(out)).toMatchObject({ same: false, before: { rowCount: 3 }, after: { rowCount: 3 } })
    })
  })
})
