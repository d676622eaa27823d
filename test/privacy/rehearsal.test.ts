/**
 * The promise of the tokens, end to end: traffic recorded from an unmasked database, masked on the way, replayed on a masked copy, answers
 * what production answered, tokens in place. What masking cannot keep is labelled, and nothing else is.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as ledger from '../../fixtures/ledger/ledger.js'
import * as shop from '../../fixtures/shop/shop.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { readSnapshot } from '../../replayer/shadow/snapshot/format.js'
import { contents } from '../shadow/support.js'
import * as clinic from './clinic/clinic.js'
import { findings, labelled, type Rehearsal, rehearse, type Stage, stage, strike } from './rehearse.js'

let place: Stage
beforeAll(async () => {
  place = await stage()
})
afterAll(() => strike(place))

describe('the clinic: types that are hard to mask', () => {
  let rehearsal: Rehearsal
  beforeAll(async () => {
    const world = {
      name: 'clinic',
      schema: clinic.schemaPath,
      policy: clinic.policyPath,
      load: clinic.loadClinic,
      traffic: clinic.clinicTraffic,
    }
    rehearsal = await rehearse(place, world, 'UPDATE clinic.doctor SET fee = fee + 1::money')
  }, 300_000)

  test('no finding', () => expect(findings(rehearsal.statements)).toEqual([]))
  test('it has compared nearly all that was said', () => {
    expect(rehearsal.statements.length).toBeGreaterThan(90)
    const equal = rehearsal.statements.filter(({ judgement }) => judgement.verdict === 'equal').length
    expect(equal).toBeGreaterThan(75)
  })
  test('what is labelled is among what depends on more than tokens keep', () => {
    const shapes = [...clinic.LABELLED, ...clinic.EXACT.filter(([sql]) => COMPUTED.test(sql))].map(([sql]) =>
      shapeOf(sql),
    )
    shapes.push(shapeOf('SELECT * FROM seen WHERE mail = ?'))
    expect(
      labelled(rehearsal.statements)
        .map(shapeOf)
        .filter((shape) => !shapes.includes(shape)),
    ).toEqual([])
    expect(labelled(rehearsal.statements).length).toBeGreaterThan(4)
  })
  test('a value that is really another is a finding', () => expect(findings(rehearsal.spoilt)).not.toEqual([]))

  test('the copy is whole: as many rows, valid constraints, every value masked or kept as the policy says', async () => {
    const facts = readSnapshot(rehearsal.snapshot)
    const counted = await withClient(rehearsal.golden, contents)
    for (const { schema, name, rows } of facts.tables)
      expect([name, counted[`${schema}.${name}`]?.length]).toEqual([name, rows])
    await withClient(rehearsal.golden, async (golden) => {
      expect((await golden.query('SELECT conname FROM pg_constraint WHERE NOT convalidated')).rows).toEqual([])
      const { rows } = await golden.query(`
        SELECT (SELECT count(*) FROM clinic.patient p WHERE contact <> lower(mail::text) OR name_length <> length(name)) AS generated,
               (SELECT count(*) FROM clinic.patient WHERE treated_by IS NOT NULL AND treated_by NOT IN (SELECT mail FROM clinic.doctor)) AS dangling,
               (SELECT count(*) FROM clinic.visit_2024) > 0 AS partitioned,
               (SELECT count(DISTINCT tableoid) FROM clinic.person) AS inherited`)
      expect(rows).toEqual([{ generated: '0', dangling: '0', partitioned: true, inherited: '2' }])
    })
    // What is nobody's is untouched.
    const kept = `SELECT json_agg(t ORDER BY t::text)::text AS kept FROM (
      SELECT p.blood::text, p.ward::text, p.id::text, cardinality(p.phones)::text FROM clinic.patient p UNION ALL
      SELECT kind, at::text, id::text, (vitals -> 'pulse')::text FROM clinic.visit UNION ALL
      SELECT room, during::text, number::text, NULL FROM clinic.booking UNION ALL
      SELECT flags::text, site::text, fee::text, device::text FROM clinic.doctor) t`
    const ask = (url: string) => withClient(url, async (client) => (await client.query(kept)).rows)
    expect(await ask(rehearsal.golden)).toEqual(await ask(rehearsal.untouched))
  })

  test('identity columns and sequences go on', async () => {
    const url = await cloneShadow(place.shadows.url(), 'clinic_golden', 'clinic_next')
    await withClient(url, async (client) => {
      const { rows } = await client.query('INSERT INTO clinic.form (price) VALUES (1) RETURNING id')
      expect(rows).toEqual([{ id: 3 }])
      const next = await client.query(
        "INSERT INTO clinic.booking (doctor, room, during) SELECT mail, 'R9', 'empty' FROM clinic.doctor LIMIT 1 RETURNING number",
      )
      expect(next.rows).toEqual([{ number: 3 }])
    })
  })
})

describe.each([
  {
    name: 'shop',
    world: {
      name: 'shop',
      schema: shop.v1Path,
      policy: shop.policyPath,
      load: (url: string) => shop.loadShop(url, { scale: 0.05, seed: 3 }),
      traffic: (url: string) => shop.runTraffic({ url, sessions: 6, statements: 1500, seed: 3 }),
    },
    spoil: 'UPDATE products SET price_cents = price_cents + 1',
  },
  {
    name: 'ledger',
    world: {
      name: 'ledger',
      schema: ledger.v1Path,
      policy: ledger.policyPath,
      load: (url: string) => ledger.loadLedger(url, { scale: 0.2, seed: 3 }),
      traffic: (url: string) => ledger.runTraffic({ url, sessions: 6, statements: 1500, seed: 3 }),
    },
    // Also what is read by its key: of a whole table that others write meanwhile, production's own answer is a race.
    spoil: `UPDATE books.accounts SET title = title || 'x'; UPDATE books.documents SET file_name = file_name || 'x'`,
  },
])('the $name', ({ world, spoil }) => {
  let rehearsal: Rehearsal
  beforeAll(async () => {
    rehearsal = await rehearse(place, world, spoil)
  }, 300_000)
  test('no finding, with tokens in place', () => expect(findings(rehearsal.statements)).toEqual([]))
  test('it has compared nearly all that was said', () => {
    expect(rehearsal.statements.length).toBeGreaterThan(1400)
  })
  test('a value that is really another is a finding', () => expect(findings(rehearsal.spoilt)).not.toEqual([]))
})

/** They show columns that the server computes of masked ones. */
const COMPUTED = /name_length|SELECT \* FROM patient/

/** A statement without its literals and comments. */
function shapeOf(sql: string): string {
  return sql
    .replace(/\/\*.*?\*\/|--.*$/g, ' ')
    .replace(/'(?:[^']|'')*'/g, '?')
    .replace(/\s+/g, ' ')
    .trim()
}
