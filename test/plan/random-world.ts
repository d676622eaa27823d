/**
 * A random schema and random applications on it, for the promise that a replay has one outcome. Nothing here knows how plans are made;
 * it only leaves out what no order can fix (LIMIT without a total order, the clock).
 */
import type pg from 'pg'
import type { Dice } from '../rewrite/dice.js'

type Key = 'serial' | 'identity' | 'given' | 'text' | 'pair' | 'uuid' | 'none'
type Action = 'CASCADE' | 'SET NULL' | 'NO ACTION' | 'RESTRICT'

export type Table = {
  readonly name: string
  readonly key: Key
  /** The table its `ref` points at. */
  readonly parent: Table | null
  readonly onDelete: Action
  /** As Django makes them: looked at by COMMIT. */
  readonly deferred: boolean
  /** A second unique key. */
  readonly code: boolean
  readonly trigger: 'none' | 'row' | 'statement' | 'counter'
  /** Ids that applications have heard of, shared by all of them. */
  readonly known: string[]
}

export type World = { readonly tables: readonly Table[]; readonly schema: string; readonly data: string }

const KEYS: readonly Key[] = ['serial', 'identity', 'given', 'text', 'pair', 'uuid', 'none']
const STATES = ['new', 'busy', 'done', 'gone']
const ROWS = Number(process.env.PGREHEARSE_ROWS ?? 40)

export function makeWorld(dice: Dice): World {
  const tables: Table[] = []
  for (let i = 0; i < dice.int(3, 5); i += 1) {
    const parents = tables.filter(({ key }) => key === 'serial' || key === 'identity' || key === 'given')
    tables.push({
      name: `t${i}`,
      key: i === 0 ? 'serial' : dice.pick(KEYS),
      parent: parents.length > 0 && dice.chance(0.7) ? dice.pick(parents) : null,
      onDelete: dice.pick(['CASCADE', 'SET NULL', 'NO ACTION', 'RESTRICT'] as const),
      deferred: dice.chance(0.4),
      code: dice.chance(0.5),
      trigger: dice.pick(['none', 'none', 'row', 'statement', 'counter'] as const),
      known: [],
    })
  }
  const schema = [
    'CREATE TABLE audit (id serial PRIMARY KEY, what text NOT NULL, n int);',
    'CREATE TABLE counters (name text PRIMARY KEY, n int NOT NULL);',
    ...tables.map(tableSql),
    `CREATE VIEW overview AS ${tables.map(({ name }) => `SELECT '${name}' AS name, n, state FROM ${name}`).join(' UNION ALL ')};`,
  ].join('\n')
  return { tables, schema, data: tables.map(rowsSql).join('\n') }
}

function tableSql(table: Table): string {
  const { name, key, parent, onDelete, deferred, code, trigger } = table
  const keys: Readonly<Record<Key, string>> = {
    serial: 'id serial PRIMARY KEY',
    identity: 'id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
    given: 'id int PRIMARY KEY',
    text: 'id text PRIMARY KEY',
    pair: 'id int NOT NULL, part int NOT NULL DEFAULT 0, PRIMARY KEY (id, part)',
    uuid: 'id uuid PRIMARY KEY DEFAULT gen_random_uuid()',
    none: 'id int',
  }
  const columns = [
    keys[key],
    'n int NOT NULL DEFAULT 0',
    "state text NOT NULL DEFAULT 'new'",
    ...(parent
      ? [
          `ref int REFERENCES ${parent.name} (id) ON DELETE ${onDelete}${deferred ? ' DEFERRABLE INITIALLY DEFERRED' : ''}`,
        ]
      : []),
    ...(code ? ['code int UNIQUE'] : []),
  ]
  const bodies = {
    row: `INSERT INTO audit (what, n) VALUES ('${name} ' || TG_OP, 1);`,
    statement: `INSERT INTO audit (what) VALUES ('${name} ' || TG_OP);`,
    counter: `UPDATE counters SET n = n + 1 WHERE name = '${name}';`,
  }
  const fires =
    trigger === 'none'
      ? []
      : [
          `CREATE FUNCTION ${name}_fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${bodies[trigger]} RETURN NULL; END $$;`,
          `CREATE TRIGGER fire AFTER INSERT OR UPDATE OR DELETE ON ${name} FOR EACH ${trigger === 'statement' ? 'STATEMENT' : 'ROW'} EXECUTE FUNCTION ${name}_fire();`,
        ]
  return [
    `CREATE TABLE ${name} (${columns.join(', ')});`,
    `INSERT INTO counters VALUES ('${name}', 0);`,
    ...fires,
  ].join('\n')
}

function rowsSql({ name, key, parent }: Table): string {
  const id =
    key === 'given' || key === 'pair' || key === 'none' ? ['id', 'i'] : key === 'text' ? ['id', "'k' || i"] : null
  const columns = [...(id ? [id[0]] : []), 'n', 'state', ...(parent ? ['ref'] : [])].join(', ')
  const values = [
    ...(id ? [id[1]] : []),
    'i % 5',
    `(ARRAY['new', 'busy', 'done', 'gone'])[1 + i % 4]`,
    ...(parent ? [`1 + i % ${ROWS}`] : []),
  ].join(', ')
  return `INSERT INTO ${name} (${columns}) SELECT ${values} FROM generate_series(1, ${ROWS}) i;`
}

/** One application: transactions on a connection, until it has sent `statements`. */
export class Application {
  readonly #client: pg.ClientBase
  readonly #world: World
  readonly #dice: Dice
  #sent = 0

  constructor(client: pg.ClientBase, world: World, dice: Dice) {
    this.#client = client
    this.#world = world
    this.#dice = dice
  }

  async work(statements: number): Promise<void> {
    while (this.#sent < statements) {
      if (this.#dice.chance(0.5)) await this.#one()
      else await this.#transaction()
    }
  }

  async #transaction(): Promise<void> {
    const dice = this.#dice
    await this.#send(dice.chance(0.2) ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN')
    let fine = true
    const savepoint = dice.chance(0.2)
    for (let i = 0; i < dice.int(1, 5) && fine; i += 1) {
      if (savepoint && i === 1) await this.#send('SAVEPOINT here')
      fine = await this.#one()
      if (!fine && savepoint && i > 1) fine = await this.#send('ROLLBACK TO here')
    }
    await this.#send(dice.chance(0.2) ? 'ROLLBACK' : 'COMMIT')
  }

  async #one(): Promise<boolean> {
    const dice = this.#dice
    const table = dice.pick(this.#world.tables)
    const kind = dice.pick(STATEMENTS)
    return kind(this, table, dice)
  }

  /** One statement; whether it worked. */
  async #send(text: string, values: unknown[] = [], heard?: Table): Promise<boolean> {
    this.#sent += 1
    try {
      const simple = values.length === 0 && this.#dice.chance(0.5)
      const { rows } = await this.#client.query(simple ? text : { text, values })
      for (const row of heard ? rows : []) if (row.id !== undefined) heard!.known.push(String(row.id))
      return true
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error
      return false
    }
  }

  send = (text: string, values: unknown[] = [], heard?: Table): Promise<boolean> => this.#send(text, values, heard)

  /** An id that some application has heard of, or may hear of, or never will. */
  id({ key, known }: Table): unknown {
    const dice = this.#dice
    if (known.length > 0 && dice.chance(0.6)) return dice.pick(known.slice(-20))
    const number = dice.chance(0.3) ? dice.int(1, 3) : dice.int(1, ROWS + 6)
    if (key === 'uuid') return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
    return key === 'text' ? `k${number}` : number
  }

  /** Columns and values of a row to insert. */
  row(table: Table): { readonly columns: string[]; readonly values: unknown[] } {
    const dice = this.#dice
    const own = table.key === 'given' || table.key === 'text' || table.key === 'pair' || table.key === 'none'
    const entries: [string, unknown][] = [
      ['n', dice.int(0, 9)],
      ['state', dice.pick(STATES)],
    ]
    if (own) entries.push(['id', this.id(table)])
    if (table.parent && dice.chance(0.8)) entries.push(['ref', this.id(table.parent)])
    if (table.code && dice.chance(0.7)) entries.push(['code', dice.int(1, 30)])
    return { columns: entries.map(([name]) => name), values: entries.map(([, value]) => value) }
  }
}

type Kind = (app: Application, table: Table, dice: Dice) => Promise<boolean>

const places = (values: readonly unknown[]) => values.map((_, i) => `$${i + 1}`).join(', ')
/** An order without ties that is the same in every replay; null: there is none, so no LIMIT can be. */
const total = ({ key }: Table) => (key === 'none' || key === 'uuid' ? null : key === 'pair' ? 'id, part' : 'id')

const STATEMENTS: readonly Kind[] = [
  (app, t) => app.send(`SELECT id, n, state FROM ${t.name} WHERE id = $1 ORDER BY n`, [app.id(t)]),
  (app, t, dice) => app.send(`SELECT count(*), sum(n) FROM ${t.name} WHERE state = $1`, [dice.pick(STATES)]),
  (app, t, dice) =>
    total(t) === null
      ? app.send(`SELECT n, state FROM ${t.name} WHERE n = $1 ORDER BY n, state`, [dice.int(0, 5)])
      : app.send(`SELECT ${total(t)} FROM ${t.name} WHERE n = $1 ORDER BY ${total(t)} LIMIT 3`, [dice.int(0, 5)], t),
  (app) => app.send('SELECT name, count(*), sum(n) FROM overview GROUP BY name ORDER BY name'),
  (app) => app.send('SELECT what, count(*) FROM audit GROUP BY what ORDER BY what'),
  (app, t) => app.send('SELECT n FROM counters WHERE name = $1', [t.name]),
  (app, t) => app.send(`UPDATE ${t.name} SET n = n + 1 WHERE id = $1 RETURNING n`, [app.id(t)]),
  (app, t, dice) => app.send(`UPDATE ${t.name} SET state = $2 WHERE id = $1`, [app.id(t), dice.pick(STATES)]),
  (app, t, dice) =>
    app.send(`UPDATE ${t.name} SET state = $2, n = n + 1 WHERE state = $1`, [dice.pick(STATES), dice.pick(STATES)]),
  (app, t) => {
    const { columns, values } = app.row(t)
    return app.send(`INSERT INTO ${t.name} (${columns.join(', ')}) VALUES (${places(values)}) RETURNING id`, values, t)
  },
  (app, t) => {
    const { columns, values } = app.row(t)
    return app.send(`INSERT INTO ${t.name} (${columns.join(', ')}) VALUES (${places(values)})`, values)
  },
  (app, t) => {
    const { columns, values } = app.row(t)
    return app.send(
      `INSERT INTO ${t.name} (${columns.join(', ')}) VALUES (${places(values)}) ON CONFLICT DO NOTHING`,
      values,
    )
  },
  (app, t) => {
    const { columns, values } = app.row(t)
    if (!columns.includes('code')) return app.send(`SELECT max(n) FROM ${t.name}`)
    return app.send(
      `INSERT INTO ${t.name} (${columns.join(', ')}) VALUES (${places(values)}) ON CONFLICT (code) DO UPDATE SET n = ${t.name}.n + 1 RETURNING id, n`,
      values,
    )
  },
  (app, t) => app.send(`DELETE FROM ${t.name} WHERE id = $1`, [app.id(t)]),
  (app, t, dice) => app.send(`DELETE FROM ${t.name} WHERE state = 'gone' AND n > $1`, [dice.int(0, 6)]),
  (app, t) => app.send(`SELECT n FROM ${t.name} WHERE id = $1 ORDER BY n FOR UPDATE`, [app.id(t)]),
  (app, t) => app.send(`SELECT n FROM ${t.name} WHERE id = $1 ORDER BY n FOR NO KEY UPDATE NOWAIT`, [app.id(t)]),
  (app, t) => app.send(`SELECT n FROM ${t.name} WHERE id = $1 ORDER BY n FOR SHARE`, [app.id(t)]),
  (app, t) =>
    total(t) === null
      ? app.send(`SELECT state, count(*) FROM ${t.name} GROUP BY state ORDER BY state`)
      : app.send(
          `SELECT id FROM ${t.name} WHERE state = 'new' ORDER BY ${total(t)} LIMIT 1 FOR UPDATE SKIP LOCKED`,
          [],
          t,
        ),
  (app, t, dice) =>
    t.code
      ? app.send(`UPDATE ${t.name} SET code = $2 WHERE code = $1`, [dice.int(1, 30), dice.int(1, 30)])
      : app.send(`SELECT min(n) FROM ${t.name}`),
  (app, t, dice) =>
    app.send(
      `WITH moved AS (DELETE FROM ${t.name} WHERE state = 'done' AND n = $1 RETURNING n) INSERT INTO audit (what, n) SELECT 'moved', n FROM moved WHERE n > 3`,
      [dice.int(0, 9)],
    ),
  (app, t) => app.send(`INSERT INTO audit (what, n) SELECT 'sum ${t.name}', sum(n) FROM ${t.name}`),
  (app, t) =>
    t.parent
      ? app.send(
          `SELECT c.id, p.n FROM ${t.name} c JOIN ${t.parent.name} p ON p.id = c.ref WHERE c.id = $1 ORDER BY c.n, p.n FOR UPDATE OF p`,
          [app.id(t)],
        )
      : app.send(`SELECT count(*) FROM ${t.name}`),
  (app, t) =>
    t.parent
      ? app.send(`UPDATE ${t.name} SET ref = $2 WHERE id = $1`, [app.id(t), app.id(t.parent)])
      : app.send('SELECT 1'),
  (app, _, dice) => app.send('SELECT pg_advisory_xact_lock($1)', [dice.int(1, 2)]),
]
