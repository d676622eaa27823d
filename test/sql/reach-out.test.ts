/** Which recorded statements must not run on a shadow. */
import { beforeAll, describe, expect, test } from 'vitest'
import { loadParser } from '../../sql/parse.js'
import { reachesOut } from '../../sql/reach-out.js'

beforeAll(loadParser)

describe('kept from a shadow', () => {
  test.each([
    [`COPY t TO PROGRAM 'mail'`, 'COPY … PROGRAM'],
    [`COPY (SELECT 1) TO /* x */ PROGRAM 'mail'`, 'COPY … PROGRAM'],
    [`copy t from '/etc/passwd'`, 'COPY with a file of the server'],
    [`SELECT 1; ALTER SYSTEM SET work_mem = '1GB'`, 'ALTER SYSTEM'],
    [`LOAD 'something'`, 'LOAD'],
    [`CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p`, 'CREATE SUBSCRIPTION'],
    ['DROP DATABASE shop', 'DROP DATABASE'],
    ['CREATE DATABASE shop2 TEMPLATE shop', 'CREATE DATABASE'],
    [`ALTER DATABASE shop SET work_mem = '1GB'`, 'ALTER DATABASE'],
    [`ALTER /* c */ USER app PASSWORD 'x'`, 'ALTER ROLE'],
    ['DROP ROLE app', 'DROP ROLE'],
    ['GRANT admin TO app', 'GRANT of a role'],
    [`CREATE USER MAPPING FOR app SERVER s OPTIONS (password 'x')`, 'CREATE USER MAPPING'],
    [`CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw`, 'CREATE SERVER'],
    [`IMPORT FOREIGN SCHEMA public FROM SERVER s INTO x`, 'IMPORT FOREIGN SCHEMA'],
    ['CREATE EXTENSION IF NOT EXISTS dblink', 'CREATE EXTENSION of one that leads out'],
    [`SELECT pg_read_file('/etc/passwd')`, 'a function on files of the server'],
    [`SELECT * FROM t, pg_catalog.pg_ls_dir('.') d`, 'a function on files of the server'],
    [`INSERT INTO t SELECT lo_export(1, '/tmp/x')`, 'a function on files of the server'],
    [`SELECT U&"lo\\005Fexport"(1, '/tmp/x')`, 'a function on files of the server'],
    ['SELECT pg_terminate_backend(pid) FROM pg_stat_activity', 'a function that steers the server'],
    ['SELECT pg_terminate_backend(4711)', 'a function that steers the server'],
    ['SELECT pg_terminate_backend(pg_backend_pid() + 1)', 'a function that steers the server'],
    [`SELECT pg_create_logical_replication_slot('a', 'b')`, 'a function on replication'],
    [`SELECT * FROM dblink('host=x', 'SELECT 1') AS t(n int)`, 'a call of dblink'],
    [`WITH x AS (SELECT ext.dblink_exec('c', 'DELETE FROM t')) SELECT * FROM x`, 'a call of dblink'],
    [`PREPARE p AS SELECT pg_read_file($1)`, 'a function on files of the server'],
    [`DO LANGUAGE plpython3u $$import os$$`, 'code in an untrusted language'],
    [`DO $$ BEGIN EXECUTE 'COPY t TO PROGRAM ''mail'''; END $$`, 'COPY … PROGRAM'],
    [`CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'`, 'code in an untrusted language'],
    [
      `CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT pg_read_file('x')$$`,
      'a function on files of the server',
    ],
    [`CREATE NOVELTY x; COPY t TO PROGRAM 'mail'`, 'COPY … PROGRAM'],
  ])('%s', (sql, reason) => expect(reachesOut(sql)).toBe(reason))
})

describe('runs', () => {
  test.each([
    'SELECT 1',
    'COPY t FROM STDIN',
    'COPY (SELECT 1) TO STDOUT',
    `SELECT 'COPY t TO PROGRAM ''x'''`,
    `INSERT INTO log VALUES ('pg_read_file(x)') ON CONFLICT DO NOTHING`,
    'SELECT "user", load, program FROM copies GROUP BY 1',
    'CREATE TEMP TABLE t (n int)',
    'DROP TABLE IF EXISTS t',
    'GRANT SELECT ON t TO app',
    'ALTER TABLE t ADD COLUMN n int',
    'CREATE EXTENSION pg_trgm',
    `DO $$ BEGIN PERFORM 1; END $$`,
    `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$`,
    'SELECT app.pg_read_file(1)',
    'SELECT pg_advisory_lock(1), pg_sleep(0), pg_backend_pid()',
    'SELECT pg_terminate_backend(pg_backend_pid())',
    'THIS IS NO SQL, alter it',
    'SET work_mem = 64',
    'NOTIFY jobs',
    'LISTEN jobs',
  ])('%s', (sql) => expect(reachesOut(sql)).toBeNull())
})
