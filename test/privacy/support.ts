import pg from 'pg'
import { readKey } from '../../privacy/key.js'
import { createMasker, type Masker } from '../../privacy/masker.js'
import { EMPTY_POLICY, parsePolicy } from '../../privacy/policy/policy.js'
import type { Catalog } from '../../segment/catalog.js'
import { readCatalog } from '../../sql/read-catalog.js'
import type { TestDatabase } from '../support/database.js'

export const KEY = readKey('ab'.repeat(32))

export async function catalogOf(database: TestDatabase): Promise<Catalog> {
  const client = new pg.Client(database.url)
  await client.connect()
  try {
    return await readCatalog(client)
  } finally {
    await client.end()
  }
}

export async function maskerOf(
  database: TestDatabase,
  ...lines: string[]
): Promise<{ masker: Masker; catalog: Catalog }> {
  const catalog = await catalogOf(database)
  const policy =
    lines.length === 0
      ? EMPTY_POLICY
      : parsePolicy(`version: 1\ncolumns:\n${lines.map((line) => `  ${line}\n`).join('')}`, 'policy.yaml')
  return { masker: await createMasker({ key: KEY, policy, catalog }), catalog }
}
