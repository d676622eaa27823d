/**
 * The way with pg_dump needs a whole PostgreSQL of the machine (the npm package has no client tools), so these tests run
 * where there is one.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { contents, NO_MASKS, text } from './support.js'

const DEBIAN = '/usr/lib/postgresql'
const BINARIES = (existsSync(DEBIAN) ? readdirSync(DEBIAN) : [])
  .map((version) => join(DEBIAN, version, 'bin'))
  .find((folder) => existsSync(join(folder, 'pg_dump')) && existsSync(join(folder, 'postgres')))

describe.runIf(BINARIES !== undefined)('with pg_dump', () => {
  let room: string
  let production: OwnedServer
  let shadows: OwnedServer
  let source: pg.Client

  beforeAll(async () => {
    room = mkdtempSync(join(tmpdir(), 'pg-dump-test-'))
    production = await startServer({ binaries: BINARIES! })
    shadows = await startServer()
    source = new pg.Client(production.url())
    await source.connect()
    await source.query(text('hard-types.sql'))
    await source.query(text('hard-rows.sql'))
    await source.query(`
      CREATE EXTENSION postgres_fdw;
      CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1');
      CREATE USER MAPPING FOR postgres SERVER elsewhere OPTIONS (user 'x', password 'way-to-production');
      CREATE FOREIGN TABLE far (n int) SERVER elsewhere;
      CREATE PUBLICATION everything;
      CREATE ROLE app; ALTER TABLE people OWNER TO app; GRANT SELECT ON people TO app;
      CREATE ROLE reader; ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON people TO reader USING (true);
      CREATE EXTENSION pg_trgm;
      ALTER TABLE people ALTER COLUMN nick SET STATISTICS 777;
      CREATE STATISTICS people_together (dependencies) ON email, nick FROM people;
      ALTER DATABASE postgres SET search_path = "Odd schema", public;
      ALTER DATABASE postgres SET "TimeZone" = 'Europe/Berlin';
      SELECT lo_create(0)`)
  })
  afterAll(async () => {
    await source?.end()
    await Promise.all([production?.stop(), shadows?.stop()])
    rmSync(room, { recursive: true, force: true })
  })

  test('another major version, the schema split around the data: the same rows, constraints and settings', async () => {
    const snapshot = join(room, 'snap')
    const facts = await takeSnapshot({
      url: production.url(),
      out: snapshot,
      masks: () => NO_MASKS,
      madeBy: 'test',
      serverBin: BINARIES,
    })
    expect(readdirSync(snapshot).sort()).toEqual(['data', 'schema.post.sql', 'schema.pre.sql', 'snapshot.json'])
    expect(facts.notTaken.map(({ what }) => what)).toEqual(['public.far', '1 large objects'])
    const url = shadows.url('restored')
    await restoreSnapshot({ snapshot, target: url })
    const restored = new pg.Client(url)
    await restored.connect()
    try {
      const { rows } =
        await restored.query(`SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone,
        (SELECT count(*)::int FROM pg_user_mappings) AS mappings, (SELECT count(*)::int FROM pg_publication) AS publications`)
      expect(rows).toEqual([{ path: '"Odd schema", public', zone: 'Europe/Berlin', mappings: 0, publications: 0 }])
      const planned = await restored.query(`SELECT attstattarget::int AS target,
        (SELECT count(*)::int FROM pg_statistic_ext_data d JOIN pg_statistic_ext e ON e.oid = d.stxoid WHERE e.stxname = 'people_together') AS together
        FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'nick'`)
      expect(planned.rows).toEqual([{ target: 777, together: 1 }])
      const { rows: needed } = await restored.query(`SELECT
        (SELECT array_agg(extname::text ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql') AS extensions,
        (SELECT array_agg(rolname || ' ' || rolcanlogin ORDER BY rolname) FROM pg_roles WHERE rolname IN ('app', 'reader')) AS roles`)
      // Roles that the schema names exist, and nobody can come in as one; owners stay behind.
      expect(needed).toEqual([{ extensions: ['citext', 'pg_trgm', 'postgres_fdw'], roles: ['reader false'] }])
      await restored.query(`SET TimeZone = 'UTC'; SET search_path = public`)
      const shape = `SELECT conrelid::regclass::text AS place, pg_get_constraintdef(oid) AS text FROM pg_constraint
        WHERE contype <> 'n' AND connamespace <> 'pg_catalog'::regnamespace AND connamespace <> 'information_schema'::regnamespace
          AND connamespace::regnamespace::text <> 'pgrehearse' ORDER BY 1, 2`
      expect((await restored.query(shape)).rows).toEqual((await source.query(shape)).rows)
      expect(await contents(restored)).toEqual(await contents(source))
    } finally {
      await restored.end()
    }
  })

  test('a masked value that breaks a constraint which comes after the data: the constraint, no value', async () => {
    const snapshot = join(room, 'broken')
    await takeSnapshot({
      url: production.url(),
      out: snapshot,
      masks: () => ({
        ...NO_MASKS,
        forTable: (_, [first]) =>
          first?.name === 'id' ? (lines) => Buffer.from(lines.toString('utf8').replaceAll(/^\d+/gm, '5')) : null,
      }),
      madeBy: 'test',
      serverBin: BINARIES,
    })
    const error = await restoreSnapshot({ snapshot, target: shadows.url('broken') }).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'MASK_BREAKS_CONSTRAINT', detail: expect.stringContaining('_pkey') })
    expect(error.detail).not.toContain('=(5')
  })

  test('the way to other servers is not even in the files', async () => {
    const snapshot = join(room, 'quiet')
    await takeSnapshot({
      url: production.url(),
      out: snapshot,
      masks: () => NO_MASKS,
      madeBy: 'test',
      serverBin: BINARIES,
    })
    const everything = readdirSync(snapshot)
      .filter((name) => name !== 'data')
      .map((name) => readFileSync(join(snapshot, name), 'utf8'))
      .join('\n')
    expect(everything).toContain('CREATE FOREIGN TABLE')
    expect(everything).not.toContain('way-to-production')
    expect(everything).not.toContain(production.password)
  })

  test('a server newer than pg_dump is refused before it is touched', async () => {
    await expect(
      takeSnapshot({
        url: shadows.url(),
        out: join(room, 'newer'),
        masks: () => NO_MASKS,
        madeBy: 'test',
        serverBin: BINARIES,
      }),
    ).rejects.toMatchObject({ code: 'NO_SCHEMA_SOURCE', detail: expect.stringContaining('refuses servers newer') })
  })
})
