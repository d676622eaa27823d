import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { NotRewritable } from '../../sql/rewrite.js'
import { replayTape } from '../run/support.js'
import { execute, prepare, simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase } from '../support/database.js'
import { CASES } from './partition-cases.js'
import { PARTITIONED } from './partition-world.js'
import { createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(PARTITIONED)
})
afterAll(() => world.close())

test.each(
  CASES.map((asked) => ({ sql: asked.map((one) => (typeof one === 'string' ? one : one[0])).join('; '), asked })),
)('$sql', ({ asked }) => world.compare(asked))

test.each([
  ["UPDATE events SET kind = 'buy'", /may move rows/],
  ['SELECT * FROM events FOR UPDATE', /cannot be locked/],
  ["INSERT INTO events (event_id, kind) VALUES (1, 'x') ON CONFLICT (event_id) DO NOTHING", /cannot see/],
  ['INSERT INTO events DEFAULT VALUES', /nothing to choose/],
  ['PREPARE p AS DELETE FROM events', /PREPARE of a statement/],
])('says why it cannot be said: %s', (sql, why) => {
  expect(() => world.rewrite(sql)).toThrow(why)
  expect(() => world.rewrite(sql)).toThrow(NotRewritable)
})

test('a replay calls them what they were, by either protocol', async () => {
  const [before, after] = [
    await createDatabase(PARTITIONED.before),
    await createDatabase(PARTITIONED.before, PARTITIONED.after),
  ]
  const insert = 'INSERT INTO events (event_id, kind) VALUES ($1, $2)'
  const update = 'UPDATE events SET amount = 3 WHERE event_id < $1 RETURNING event_id'
  const tape = new Tape()
    .send(1, unnamed(insert, ['70', 'buy']))
    .send(1, simple("INSERT INTO events (event_id, kind) VALUES (71, 'x'), (72, 'click')"))
    .send(1, unnamed(update, ['2']))
    .send(1, prepare('gone', 'DELETE FROM events WHERE event_id > $1'))
    .send(1, execute('gone', 'DELETE FROM events WHERE event_id > $1', ['69']))
  const text = PARTITIONED.mapping
  const catalogs = { before: await readCatalog(before), after: await readCatalog(after) }
  const rewrite = {
    text,
    file: 'mapping.yaml',
    folder: '.',
    hash: parseMapping(text, 'mapping.yaml').hash,
    ...catalogs,
  }
  const { rows } = await replayTape(tape, after.url, { rewrite })
  await Promise.all([before.drop(), after.drop()])
  expect(
    rows.map(({ outcome: { tag, rowCount, rows: kept, columns } }) => [tag, rowCount, kept, columns?.length]),
  ).toEqual([
    ['INSERT 0 1', 1, null, undefined],
    ['INSERT 0 2', 2, null, undefined],
    ['UPDATE 1', 1, [['1']], 1],
    ['', 0, null, undefined],
    ['DELETE 3', 3, null, undefined],
  ])
})
