/**
 * A database that nobody had seen: quoted names and words of the language as names, tables without columns, cyclic and composite foreign keys,
 * constraints and generated columns on what is masked, views on views, a foreign table. Taken, masked, restored, replayed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { readSnapshot } from '../../replayer/shadow/snapshot/format.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { KEY } from '../recorder/recording.js'
import { pgrehearse } from '../reports/command-line.js'
import { contents } from '../shadow/support.js'
import { leaksUnder } from './clinic/leaks.js'
import * as odd from './odd/odd.js'
import { findings, labelled, type Rehearsal, rehearse, type Stage, stage, strike } from './rehearse.js'

let place: Stage
let rehearsal: Rehearsal
beforeAll(async () => {
  place = await stage()
  const world = {
    name: 'odd',
    schema: odd.schemaPath,
    policy: odd.policyPath,
    load: odd.loadOdd,
    traffic: odd.oddTraffic,
  }
  rehearsal = await rehearse(place, world, `UPDATE "Odd Shop"."Kunde" SET "größe" = 1`)
}, 300_000)
afterAll(() => strike(place))

describe('replayed on the masked copy', () => {
  test('no finding, errors of constraints included', () => {
    expect(rehearsal.statements.length).toBeGreaterThan(50)
    expect(findings(rehearsal.statements)).toEqual([])
  })
  test('labelled is what shows computed columns, or depends on more than tokens keep', () => {
    const shown =
      /FROM "Odd Shop"\."Kunde"( k JOIN| ORDER)|RETURNING \*|"Find It"|short|LIKE|hosts|mail_host|LIMIT|SELECT k FROM/
    expect(labelled(rehearsal.statements).filter((sql) => !shown.test(sql))).toEqual([])
    expect(labelled(rehearsal.statements).length).toBeGreaterThan(5)
  })
  test('a value that is really another is a finding', () => expect(findings(rehearsal.spoilt)).not.toEqual([]))
})

test('nothing personal is in snapshot or recording', () => {
  expect(leaksUnder(rehearsal.snapshot)).toEqual([])
  expect(leaksUnder(rehearsal.recording)).toEqual([])
})

test('the copy has as many rows, also where there are no columns, and every constraint holds', async () => {
  const then = await withClient(rehearsal.untouched, contents)
  const now = await withClient(rehearsal.golden, contents)
  const counted = (tables: Awaited<ReturnType<typeof contents>>) =>
    Object.entries(tables)
      // Grouped by what is computed of a masked column.
      .filter(([name]) => name !== '"Odd Shop".hosts')
      .map(([name, rows]) => [name, rows.length])
  expect(counted(now)).toEqual(counted(then))
  expect(now[`"Odd Shop".nothing`]).toHaveLength(2)
  await withClient(rehearsal.golden, async (golden) => {
    expect((await golden.query('SELECT conname FROM pg_constraint WHERE NOT convalidated')).rows).toEqual([])
    const { rows } = await golden.query(`
      SELECT (SELECT count(*)::int FROM "select"."user" u WHERE NOT EXISTS (SELECT FROM "select"."table" t WHERE (t."from", t."where") = (u."from", u."where")) AND u."from" IS NOT NULL) AS dangling,
             (SELECT count(*)::int FROM "Odd Shop"."Kunde" WHERE mail_host <> split_part(lower("E-Mail"::text), '@', 2) OR search <> lower("Vor- und Nachname")) AS "notComputed",
             (SELECT count(*)::int FROM "Odd Shop".names JOIN "Odd Shop"."Kunde" k ON k."Kunden Nr" = nr AND k."Vor- und Nachname" = name) AS "inView",
             (SELECT relpersistence FROM pg_class WHERE relname = 'flüchtig') AS persistence`)
    expect(rows).toEqual([{ dangling: 0, notComputed: 0, inView: 8, persistence: 'u' }])
  })
})

test('what is not copied is said', () =>
  expect(readSnapshot(rehearsal.snapshot).notTaken).toEqual([
    { what: 'Odd Shop.far', why: 'foreign table: its rows live elsewhere' },
  ]))

test('identity goes on in its steps', async () => {
  const url = await cloneShadow(place.shadows.url(), 'odd_golden', 'odd_next')
  const { rows } = await withClient(url, (client) =>
    client.query(
      `INSERT INTO "Odd Shop"."Kunde" ("E-Mail", "Vor- und Nachname") VALUES ('a@b.example', 'x') RETURNING "Kunden Nr"`,
    ),
  )
  expect(rows).toEqual([{ 'Kunden Nr': '1056' }])
})

describe('a constraint that tokens break', () => {
  test('is named by the restore, with what to do, and leaves no database behind', async () => {
    const out = join(place.at.folder, 'broken.snapshot')
    // The tokens of this kind are longer than the CHECK allows.
    const policy = parsePolicy(
      'version: 1\ncolumns:\n  Odd Shop.Kunde.user: full_name\n  Odd Shop.Kunde.postcode: first_name\n',
      'p',
    )
    const masks = { policy, key: KEY }
    await takeSnapshot({ url: rehearsal.untouched, out, masks, madeBy: 'test', schemaFile: odd.schemaPath })
    const target = place.shadows.url('broken')
    const error = (await restoreSnapshot({ snapshot: out, target }).then(
      () => null,
      (cause: unknown) => cause,
    )) as { message: string; hint: string; detail: string } | null
    expect([error?.message, error?.detail].join(' ')).toMatch(/postcode/)
    expect(error?.hint).toMatch(/kind|policy|mask/i)
    expect(`${error?.message} ${error?.detail}`).not.toMatch(/zyxqvomu|ZQ-7391/i)
    await expect(withClient(target, (client) => client.query('SELECT 1'))).rejects.toThrow()
  })
})

test('policy suggest proposes a policy that it can be taken and restored with', async () => {
  const room = mkdtempSync(join(tmpdir(), 'odd-suggest-'))
  try {
    const { exit, out, err } = await pgrehearse(room, 'policy', 'suggest', '--from', rehearsal.untouched)
    expect(exit, err).toBe(0)
    expect(out).toMatch(/^ {2}'"Odd Shop"\.Kunde\."E-Mail"': email\b/m)
    // It says mail, and no value is an address.
    expect(out).toMatch(/^ {2}# '"Odd Shop"\.Kunde\.mail_host': text\b/m)
    expect(out).not.toMatch(/zyxqvomu|7391/i)
    const policy = parsePolicy(out, 'suggested.yaml')
    const snapshot = join(room, 'snapshot')
    await takeSnapshot({
      url: rehearsal.untouched,
      out: snapshot,
      masks: { policy, key: KEY },
      madeBy: 'test',
      schemaFile: odd.schemaPath,
    })
    expect(leaksUnder(snapshot)).toEqual([])
    const restored = await restoreSnapshot({ snapshot, target: place.shadows.url('suggested') })
    expect(restored.rows).toBeGreaterThan(20)
  } finally {
    rmSync(room, { recursive: true, force: true })
  }
})
