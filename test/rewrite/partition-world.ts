/** A table whose rows lie in three tables by a predicate. */
import type { WorldParts } from './world.js'

export const PARTITIONED: WorldParts = {
  before: `
    CREATE TABLE sources (source_id int PRIMARY KEY, label text);
    CREATE TABLE events (
      event_id serial PRIMARY KEY,
      kind text NOT NULL DEFAULT 'click',
      amount int NOT NULL DEFAULT 0 CHECK (amount >= 0),
      source_id int REFERENCES sources,
      body text
    );
    CREATE TABLE notes (event_id int, note text);
    INSERT INTO sources SELECT i, 'source ' || i FROM generate_series(1, 3) i;
    INSERT INTO events (event_id, kind, amount, source_id, body)
      SELECT i, (ARRAY['click', 'view', 'buy', 'other'])[1 + i % 4], i * 10, 1 + i % 3, 'é' || i FROM generate_series(1, 20) i;
    INSERT INTO notes SELECT i, 'n' || i FROM generate_series(1, 5) i;
    SELECT setval('events_event_id_seq', 1000);
  `,
  after: `
    CREATE TABLE clicks (
      event_id int PRIMARY KEY DEFAULT nextval('events_event_id_seq'), kind text NOT NULL DEFAULT 'click',
      amount int NOT NULL DEFAULT 0 CHECK (amount >= 0), source_id int REFERENCES sources, content text
    );
    CREATE TABLE purchases (LIKE clicks INCLUDING ALL);
    CREATE TABLE rest (LIKE clicks INCLUDING ALL);
    ALTER TABLE purchases ADD FOREIGN KEY (source_id) REFERENCES sources;
    ALTER TABLE rest ADD FOREIGN KEY (source_id) REFERENCES sources;
    INSERT INTO clicks SELECT * FROM events WHERE kind = 'click';
    INSERT INTO purchases SELECT * FROM events WHERE kind = 'buy';
    INSERT INTO rest SELECT * FROM events WHERE kind NOT IN ('click', 'buy');
    ALTER SEQUENCE events_event_id_seq OWNED BY NONE;
    DROP TABLE events;
  `,
  mapping: `
version: 1
tables:
  events:
    partition:
      - { table: clicks, where: kind = 'click' }
      - { table: purchases, where: kind = 'buy' }
      - { table: rest }
    columns: { body: content }
`,
  tables: {
    events: 'SELECT * FROM clicks UNION ALL SELECT * FROM purchases UNION ALL SELECT * FROM rest',
    notes: 'SELECT * FROM notes',
    sources: 'SELECT * FROM sources',
  },
}
