/** A random world with its applications at work, recorded through the proxy, and copies of the database as it was before. */
import pg from 'pg'
import { inject } from 'vitest'
import { type bench, through } from '../recorder/recording.js'
import { createDice } from '../rewrite/dice.js'
import { createDatabase } from '../support/database.js'
import { Application, makeWorld } from './random-world.js'

const SESSIONS = Number(process.env.PGREHEARSE_SESSIONS ?? 5)
const STATEMENTS = Number(process.env.PGREHEARSE_STATEMENTS ?? 100)

export type RecordedWorld = {
  readonly path: string
  /** Names of databases. */
  readonly copies: readonly string[]
  drop(): Promise<void>
}

export async function recordWorld(
  at: ReturnType<typeof bench>,
  world: number,
  copies: readonly string[],
): Promise<RecordedWorld> {
  const { tables, schema, data } = makeWorld(createDice(world))
  const production = await createDatabase(schema, data)
  const names = copies.map((letter) => `${production.name}_${letter}`)
  const admin = new pg.Client(inject('serverUrl'))
  await admin.connect()
  const drop = async () => {
    for (const name of names) await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await admin.end()
    await production.drop()
  }
  try {
    await production.rest()
    for (const name of names) await admin.query(`CREATE DATABASE ${name} TEMPLATE ${production.name}`)
    const recording = await at.start(production.url)
    await Promise.all(
      Array.from({ length: SESSIONS }, async (_, i) => {
        const client = new pg.Client(through(production.url, recording))
        await client.connect()
        await new Application(client, { tables, schema, data }, createDice(world * 100 + i)).work(STATEMENTS)
        await client.end()
      }),
    )
    await recording.stop()
    return { path: recording.path, copies: names, drop }
  } catch (error) {
    await drop()
    throw error
  }
}

/** Every table's rows in order, random keys left out. */
export async function contents(url: string): Promise<string> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
  )
  const lines: string[] = []
  for (const { name } of rows) {
    const { rows: found } = await client.query(
      `SELECT count(*) AS n, coalesce(sum(hashtextextended((to_jsonb(t) - CASE WHEN pg_typeof(id)::text = 'uuid' THEN 'id' ELSE '' END)::text, 0)), 0) AS sum FROM (SELECT *, ${name === 'counters' ? '1 AS id' : '1 AS dummy'} FROM ${name}) t`,
    )
    lines.push(`${name} ${found[0].n} ${found[0].sum}`)
  }
  await client.end()
  return lines.join('\n')
}
