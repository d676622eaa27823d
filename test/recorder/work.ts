/** What drivers and ORMs that speak differently do to a small table; each says what it got. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres'
import { integer, jsonb, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import pg from 'pg'
import postgres from 'postgres'
import { DataTypes, Sequelize } from 'sequelize'

export const run = promisify(execFile)

export const SCHEMA = [
  `CREATE TABLE member (id serial PRIMARY KEY, name text NOT NULL, age int, data jsonb, tags text[], raw bytea,
     big int8, price numeric(10, 2), joined timestamptz DEFAULT '2024-05-06 07:08:09Z')`,
  `INSERT INTO member (name, age, data, tags, raw, big, price)
     SELECT 'member ' || i, i, jsonb_build_object('n', i), ARRAY['a', 'b ' || i], decode('00ff', 'hex'), 1::int8 << 40, i / 3.0
     FROM generate_series(1, 100) i`,
]

const member = pgTable('member', {
  id: serial('id').primaryKey(),
  name: text('name').notNull(),
  age: integer('age'),
  data: jsonb('data'),
  joined: timestamp('joined', { withTimezone: true }),
})

type Database = ReturnType<typeof drizzlePg> | ReturnType<typeof drizzlePostgres>

async function drizzled(database: Database): Promise<unknown[]> {
  const db = database as ReturnType<typeof drizzlePg>
  const results: unknown[] = [await db.select().from(member).where(eq(member.age, 7))]
  results.push(
    await db
      .insert(member)
      .values({ name: 'new', data: { deep: [1, 'two'] } })
      .returning(),
  )
  results.push(
    await db
      .update(member)
      .set({ age: sql`${member.age} + 1` })
      .where(eq(member.id, 3))
      .returning(),
  )
  await db.transaction(async (inner) => {
    await inner.insert(member).values([{ name: 'x' }, { name: 'y', age: 3 }])
    await inner
      .transaction(async (savepoint) => {
        await savepoint.delete(member).where(eq(member.id, 4))
        savepoint.rollback()
      })
      .catch(() => {})
  })
  results.push(await db.select({ n: sql<number>`count(*)::int` }).from(member))
  return results
}

async function porsager(url: string): Promise<unknown[]> {
  const db = postgres(url, { max: 2, onnotice: () => {} })
  const results: unknown[] = [
    // Pipelined: all are sent before the first is answered.
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => db`SELECT id, name, tags, data FROM member WHERE id = ${i}`),
    ),
    await db`SELECT ${true}::bool AS t, ${123}::int AS i, ${'2024-01-02'}::date AS d, ${db.json({ a: 1 })}::jsonb AS j`,
    await db`INSERT INTO member ${db(
      [
        { name: 'a', age: 1 },
        { name: 'b', age: 2 },
      ],
      'name',
      'age',
    )} RETURNING *`,
    await db`SELECT 1 / ${0}::int`.catch((error: { code: string }) => error.code),
    await db.unsafe('SELECT 1 AS a; SELECT 2 AS b').simple(),
  ]
  await db.begin(async (inner) => {
    await inner`UPDATE member SET age = age + 1 WHERE id IN ${inner([1, 2, 3])}`
    await inner
      .savepoint(async (point) => {
        await point`DELETE FROM member WHERE id = 5`
        throw new Error('back')
      })
      .catch(() => {})
  })
  for await (const rows of db`SELECT id FROM member ORDER BY id`.cursor(30)) results.push(rows.length)
  await db.end()
  return results
}

async function sequelized(url: string): Promise<unknown[]> {
  const db = new Sequelize(url, { logging: false, pool: { max: 1 } })
  const Member = db.define(
    'member',
    { name: DataTypes.TEXT, age: DataTypes.INTEGER, data: DataTypes.JSONB },
    { freezeTableName: true, timestamps: false },
  )
  const plain = (model: { toJSON(): unknown } | null) => model?.toJSON()
  const results: unknown[] = [(await Member.findAll({ where: { age: [3, 4, 5] }, order: ['id'] })).map(plain)]
  results.push(plain(await Member.create({ name: "quo'te", data: { k: '$1' } })))
  await db.transaction(async (transaction) => {
    await Member.update({ age: 1000 }, { where: { id: 10 }, transaction })
    await Member.destroy({ where: { id: 11 }, transaction })
  })
  results.push(await Member.count())
  await db.close()
  return results
}

/** Each value in binary, in both directions. */
async function binary(url: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  const results: unknown[] = []
  for (let i = 1; i < 20; i++) {
    const text = 'SELECT id, name, age, raw, big FROM member WHERE id = $1 AND raw = $2'
    const query = { name: 'binary', text, values: [i, Buffer.from([0, 255])], binary: true }
    results.push((await client.query(query as pg.QueryConfig)).rows)
  }
  await client.end()
  return results
}

export const onPath = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))

async function libpq(url: string): Promise<unknown[]> {
  const script = 'SELECT id, name FROM member WHERE id = $1 \\bind 5 \\g\n'
  const lines = [
    "INSERT INTO member (name) VALUES ('by psql') RETURNING id;",
    '\\copy member (name, age) FROM STDIN',
    'c1\t1',
    'c2\t2',
    '\\.',
    'SELECT count(*) FROM member;',
    'SELECT 1/0;',
    'BEGIN; SAVEPOINT s; DELETE FROM member WHERE id = 1; ROLLBACK TO s; COMMIT;',
    // What this psql does not know yet, it says so, with and without a proxy.
    script,
  ]
  const child = run('psql', ['-XAt', url])
  child.child.stdin!.end(lines.join('\n'))
  const { stdout } = await child
  return [stdout]
}

const DRIVERS = fileURLToPath(new URL('./drivers', import.meta.url))
const JARS = ['bsh', 'postgresql'].map((name) => `/usr/share/java/${name}.jar`)

const printed = async (program: string, ...args: string[]): Promise<unknown[]> => [
  (await run(program, args, { maxBuffer: 1 << 26, env: { ...process.env, TZ: 'UTC' } })).stdout,
]

/** The interpreter that a distribution's packages of drivers are made for. */
const PYTHON = '/usr/bin/python3'
const pythonHas = (module: string) => spawnSync(PYTHON, ['-c', `import ${module}`]).status === 0
const python =
  (script: string) =>
  (url: string): Promise<unknown[]> =>
    printed(PYTHON, join(DRIVERS, script), url)

function jdbc(url: string): Promise<unknown[]> {
  const { hostname, port, pathname, username, password } = new URL(url)
  const target = `postgresql://${hostname}:${port}${pathname}?user=${username}&password=${password}&autosave=always`
  return printed('java', '-cp', JARS.join(delimiter), 'bsh.Interpreter', join(DRIVERS, 'jdbc.bsh'), target)
}

function dbdPg(url: string): Promise<unknown[]> {
  const { hostname, port, pathname, username, password } = new URL(url)
  const dsn = `dbi:Pg:host=${hostname};port=${port};dbname=${pathname.slice(1)}`
  return printed('perl', join(DRIVERS, 'dbd-pg.pl'), dsn, username, password)
}

export const WORK: readonly { name: string; work: (url: string) => Promise<unknown[]>; runs?: boolean }[] = [
  { name: 'postgres: pipelined, cursors, savepoints', work: porsager },
  {
    name: 'drizzle on node-postgres',
    work: async (url) => {
      const pool = new pg.Pool({ connectionString: url, max: 1 })
      return drizzled(drizzlePg(pool)).finally(() => pool.end())
    },
  },
  {
    name: 'drizzle on postgres',
    work: async (url) => {
      const client = postgres(url, { max: 1 })
      return drizzled(drizzlePostgres(client)).finally(() => client.end())
    },
  },
  { name: 'sequelize', work: sequelized },
  { name: 'node-postgres in binary', work: binary },
  { name: 'libpq through psql', work: libpq, runs: onPath('psql') },
  { name: 'psycopg 3: pipelines, binary, cursors', work: python('psycopg3.py'), runs: pythonHas('psycopg') },
  { name: 'asyncpg', work: python('asyncpg_driver.py'), runs: pythonHas('asyncpg') },
  { name: 'JDBC', work: jdbc, runs: onPath('java') && JARS.every((jar) => existsSync(jar)) },
  { name: 'DBD::Pg', work: dbdPg, runs: spawnSync('perl', ['-MDBD::Pg', '-e', '1']).status === 0 },
]
