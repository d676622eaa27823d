/**
 * application_name: programs, drivers and services keep their names, because a report without them would be hard to read; whatever else
 * people write there (whose laptop it is) becomes text. A policy that says `application_name: keep` keeps all.
 */
import type { Mask } from './structures.js'

const WORDS = new Set(
  `psql pgbench pg_dump pg_dumpall pg_restore pg_basebackup postgres postgresql pg pgrehearse pgbouncer pgpool pgadmin pgcli postico
   datagrip dbeaver dbvisualizer tableplus navicat metabase grafana superset tableau looker powerbi airflow dbt fivetran debezium
   jdbc odbc npgsql psycopg psycopg2 psycopg3 asyncpg pgx libpq node nodejs java python ruby rails php go golang rust dotnet net
   django flask celery sidekiq puma unicorn gunicorn uvicorn laravel symfony spring boot hibernate hikari hikaricp prisma knex
   sequelize typeorm drizzle flyway liquibase hasura postgrest supabase walreceiver logical replication
   app apps application api backend frontend web server client service services worker workers job jobs queue cron batch scheduler
   migration migrations migrate report reports reporting analytics admin console main metadata connection conn pool db database
   driver read write reader writer only primary replica standby test tests testing dev development stage staging prod production
   sql sqlclient script scripts bench demo mobile ios android gateway auth login billing payment payments order orders shop cart
   search mail email notification notifications events event stream sync import export etl monitor monitoring exporter health check
   version the a of for and on in to by with`.split(/\s+/),
)

export function applicationMask(text: Mask): Mask {
  return (value) =>
    value.replace(/[\p{L}\p{N}]+/gu, (word) =>
      WORDS.has(word.toLowerCase()) || /^[a-z]?\d{1,4}$/i.test(word) || /^[0-9a-f]{1,2}$/i.test(word)
        ? word
        : text(word),
    )
}
