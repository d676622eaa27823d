import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { NotRewritable } from '../../sql/rewrite.js'
import { replayTape } from '../run/support.js'
import { execute, prepare, simple, Tape, unnamed } from '../run/tape.js'
import { createDatabase } from '../support/database.js'
import { PARTITIONED } from './partition-world.js'
import { type Asked, createWorld, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld(PARTITIONED)
})
afterAll(() => world.close())

const CASES: readonly (readonly Asked[])[] = [
  ['SELECT * FROM events ORDER BY event_id'],
  ['SELECT count(*), sum(amount) FROM events'],
  [['SELECT body, kind FROM events WHERE event_id = $1', [7]]],
  ["SELECT e.body, s.label FROM events e JOIN sources s USING (source_id) WHERE e.kind = 'buy' ORDER BY e.event_id"],
  ['SELECT event_id, kind, count(*) FROM events GROUP BY event_id ORDER BY 1'],
  [
    'SELECT label FROM sources s WHERE EXISTS (SELECT 1 FROM events e WHERE e.source_id = s.source_id AND e.amount > 150)',
  ],
  ['SELECT kind, row_number() OVER (PARTITION BY kind ORDER BY amount) FROM events ORDER BY event_id LIMIT 5'],
  ["INSERT INTO events (kind, amount) VALUES ('buy', 5)"],
  ["INSERT INTO events (kind, amount, body) VALUES ('view', 5, 'x') RETURNING event_id, body, kind"],
  [['INSERT INTO events (kind, amount) VALUES ($1, $2) RETURNING *', ['click', 9]]],
  ['INSERT INTO events (amount) VALUES (7) RETURNING *'],
  [
    "INSERT INTO events (event_id, kind, body) VALUES (50, 'a', 'x'), (51, 'buy', 'y'), (52, 'click', 'z') RETURNING event_id, body",
  ],
  [
    'INSERT INTO events (event_id, kind, source_id) SELECT 100 + event_id, kind, source_id FROM events WHERE amount > 100',
  ],
  ["INSERT INTO events VALUES (60, 'buy', 1, 2, 'all')"],
  ["INSERT INTO events (kind, amount) VALUES ('buy', -5)"],
  ["INSERT INTO events (kind, source_id) VALUES ('other', 99)"],
  ['INSERT INTO events (kind) VALUES (NULL)'],
  ["UPDATE events SET body = body || '!' WHERE amount > 50"],
  [['UPDATE events SET amount = amount + $1 WHERE event_id = $2 RETURNING event_id, amount, body', [3, 4]]],
  [
    "UPDATE events e SET body = s.label FROM sources s WHERE s.source_id = e.source_id AND e.kind <> 'view' RETURNING e.event_id, e.body, s.label",
  ],
  ['UPDATE events SET body = DEFAULT, amount = 1'],
  ['UPDATE events SET amount = -1 WHERE event_id = 3'],
  ["DELETE FROM events WHERE kind IN ('buy', 'view')"],
  ['DELETE FROM events WHERE amount > 100 RETURNING *'],
  ['DELETE FROM events USING notes n WHERE n.event_id = events.event_id RETURNING n.note, events.body'],
  ['DELETE FROM events WHERE event_id = 999 RETURNING event_id'],
  [
    'WITH gone AS (DELETE FROM events WHERE amount < 60 RETURNING event_id, body) INSERT INTO notes SELECT * FROM gone RETURNING event_id',
  ],
  [
    "WITH placed AS (INSERT INTO events (event_id, kind) VALUES (70, 'buy') RETURNING event_id, kind) SELECT * FROM placed",
  ],
  [
    "WITH big AS (SELECT event_id FROM events WHERE amount > 120) UPDATE events SET body = 'big' FROM big WHERE big.event_id = events.event_id",
  ],
  ['UPDATE notes SET note = e.body FROM events e WHERE e.event_id = notes.event_id'],
  ['TRUNCATE events'],
  ['LOCK TABLE events IN SHARE MODE'],
  ['DECLARE c CURSOR FOR SELECT event_id, body FROM events ORDER BY event_id', 'FETCH 3 FROM c', 'CLOSE c'],
  ['PREPARE p (int) AS SELECT body FROM events WHERE event_id = $1', 'EXECUTE p (4)', 'DEALLOCATE p'],
]

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
