/** What is asked of a table whose rows lie in several by what they are, and of the same rows before. */
import type { Asked } from './world.js'

export const CASES: readonly (readonly Asked[])[] = [
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
