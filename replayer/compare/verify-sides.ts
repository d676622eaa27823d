/**
 * Connections to the two databases that are compared: several pairs, each side seen at one moment by all of them, and slowed down on
 * request so that whoever else uses the server keeps most of it.
 *
 * A pair asks both sides at once: the answers are needed together, and two servers may as well work at the same time.
 */
import { setTimeout } from 'node:timers/promises'
import type pg from 'pg'
import { type Connected, connect } from '../shadow/connect.js'

export type Client = Pick<pg.Client, 'query'>

export type Sides = { readonly before: Client; readonly after: Client }

export type SidesOptions = {
  readonly beforeUrl: string
  readonly afterUrl: string
  readonly jobs: number
  /** Share of the time that each connection may keep its server busy, 0 to 1. */
  readonly load: number
}

export async function withSides<T>(options: SidesOptions, work: (pairs: readonly Sides[]) => Promise<T>): Promise<T> {
  const opened: Connected[] = []
  const open = async (url: string): Promise<readonly Client[]> => {
    const clients: Connected[] = []
    for (let at = 0; at < options.jobs; at += 1) {
      const client = await connect(url)
      opened.push(client)
      clients.push(client)
    }
    await atOneMoment(clients)
    return clients.map((client) => throttled(client, options.load))
  }
  try {
    const [before, after] = [await open(options.beforeUrl), await open(options.afterUrl)]
    return await work(before.map((client, at) => ({ before: client, after: after[at]! })))
  } finally {
    for (const client of opened) await client.end().catch(() => {})
  }
}

/** The first one's snapshot for all, and values as text that does not depend on settings. */
async function atOneMoment([first, ...others]: readonly Client[]): Promise<void> {
  await first!.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  if (others.length > 0) {
    const { rows } = await first!.query<{ id: string }>('SELECT pg_catalog.pg_export_snapshot() AS id')
    for (const other of others) {
      await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      // The server made the identifier: digits and hyphens.
      await other.query(`SET TRANSACTION SNAPSHOT '${rows[0]!.id}'`)
    }
  }
  for (const client of [first!, ...others])
    await client.query(`SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres';
      SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0`)
}

/** How long to leave the server alone after it was busy for `busyMs`. */
export function restMs(busyMs: number, load: number): number {
  return load >= 1 ? 0 : busyMs * (1 / load - 1)
}

function throttled(client: Connected, load: number): Client {
  if (load >= 1) return client
  const query = async (...args: readonly unknown[]) => {
    const began = performance.now()
    const result = await (client.query as (...all: readonly unknown[]) => Promise<unknown>).call(client, ...args)
    await setTimeout(restMs(performance.now() - began, load))
    return result
  }
  return { query: query as Client['query'] }
}

/** Each item to the next pair that is free; as many at a time as there are pairs. */
export async function shareOut<Item, Result>(
  items: readonly Item[],
  pairs: readonly Sides[],
  work: (item: Item, pair: Sides) => Promise<Result>,
): Promise<readonly Result[]> {
  const results = new Array<Result>(items.length)
  let next = 0
  let failed = false
  await Promise.all(
    pairs.map(async (pair) => {
      while (next < items.length && !failed) {
        const at = next++
        try {
          results[at] = await work(items[at]!, pair)
        } catch (error) {
          failed = true
          throw error
        }
      }
    }),
  )
  return results
}
