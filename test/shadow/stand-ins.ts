/**
 * Stand-ins of extensions that reach out: shaped as the real ones, and what they would send to the world goes to a table. Nothing here
 * reaches another machine.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type StandIns = {
  /** With these a server finds them. */
  readonly settings: Readonly<Record<string, string>>
  remove(): void
}

export function createStandIns(): StandIns {
  const folder = mkdtempSync(join(tmpdir(), 'stand-ins-'))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'extension'))
  for (const [extension, schema, sql] of STAND_INS) {
    writeFileSync(
      join(folder, 'extension', `${extension}.control`),
      `default_version = '1.0'\nrelocatable = false\nschema = ${schema}\n`,
    )
    writeFileSync(join(folder, 'extension', `${extension}--1.0.sql`), sql)
  }
  return {
    settings: { extension_control_path: `${folder}:$system` },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const STAND_INS: readonly (readonly [name: string, schema: string, sql: string])[] = [
  [
    'http',
    'public',
    `CREATE TABLE http_sent (uri text);
     CREATE TYPE http_request AS (method text, uri text);
     CREATE TYPE http_response AS (status int, content_type text, content text);
     CREATE FUNCTION http(request http_request) RETURNS http_response LANGUAGE plpgsql AS
       $$BEGIN INSERT INTO http_sent VALUES (request.uri); RETURN ROW(503, 'text/plain', 'really sent')::http_response; END$$;
     CREATE FUNCTION http_get(uri text) RETURNS http_response LANGUAGE sql AS $$SELECT http(ROW('GET', uri)::http_request)$$;
     CREATE FUNCTION urlencode(text) RETURNS text LANGUAGE sql AS $$SELECT replace($1, ' ', '%20')$$;`,
  ],
  [
    'pg_net',
    'net',
    `CREATE TABLE net.http_request_queue (id bigint GENERATED ALWAYS AS IDENTITY, url text);
     CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}') RETURNS bigint LANGUAGE sql AS
       $$INSERT INTO net.http_request_queue (url) VALUES (url) RETURNING id$$;`,
  ],
  [
    'pg_cron',
    'cron',
    `CREATE TABLE cron.job (jobid bigint GENERATED ALWAYS AS IDENTITY, command text, active bool DEFAULT true);
     SELECT pg_catalog.pg_extension_config_dump('cron.job', '');
     CREATE FUNCTION cron.schedule(job text, at text, command text) RETURNS bigint LANGUAGE sql AS
       $$INSERT INTO cron.job (command) VALUES ($3) RETURNING jobid$$;`,
  ],
  ['oddity', 'public', `CREATE FUNCTION odd() RETURNS int LANGUAGE sql AS 'SELECT 1'`],
]
