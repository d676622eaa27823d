/** A mapping that cannot be meant is refused with its line, and with what was probably meant. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HarnessError } from '../../base/errors.js'
import { parseMapping } from '../../replayer/rewrite/mapping.js'
import { Rewriter } from '../../replayer/rewrite/rewriter.js'
import { bindRules } from '../../replayer/rewrite/rules.js'
import type { Catalog } from '../../segment/catalog.js'
import { loadParser } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { createDatabase } from '../support/database.js'
import { SPLIT } from './split-world.js'

let before: Catalog
let after: Catalog
const databases: Awaited<ReturnType<typeof createDatabase>>[] = []
beforeAll(async () => {
  await loadParser()
  databases.push(await createDatabase(SPLIT.before), await createDatabase(SPLIT.before, SPLIT.after))
  const [old, now] = await Promise.all(databases.map((database) => readCatalog(database)))
  before = old!
  after = now!
})
afterAll(() => Promise.all(databases.map((database) => database.drop())))

function errorOf(text: string): HarnessError {
  try {
    const mapping = parseMapping(text, 'mapping.yaml')
    new Rewriter(mapping, bindRules(mapping, before, after), null)
  } catch (error) {
    if (error instanceof HarnessError) return error
    throw error
  }
  throw new Error('it was accepted')
}

const PARTS = 'split: [order_core, order_billing, {table: order_extra, key: [id]}]'

describe('a mapping is refused with file, line and advice', () => {
  test.each([
    ['no version', 'tables: {}', /mapping.yaml:1: the mapping has no known version/, /version: 1/],
    ['not YAML', 'version: 1\ntables: [', /mapping.yaml:\d: is not valid YAML/, /./],
    ['an unknown word', 'version: 1\ntabels:\n  a: b', /mapping.yaml:2: `tabels` means nothing here/, /`tables`/],
    [
      'an unknown word in a table',
      'version: 1\ntables:\n  orders:\n    splitt: [a, b]',
      /mapping.yaml:4: `splitt` means nothing/,
      /`split`/,
    ],
    [
      'a table that V1 lacks',
      'version: 1\ntables:\n  order: order_core',
      /mapping.yaml:3: the recorded schema has no table order/,
      /orders/,
    ],
    [
      'a table that V2 lacks',
      'version: 1\ntables:\n  orders:\n    to: order_cor',
      /mapping.yaml:4: the new schema has no table order_cor/,
      /order_core/,
    ],
    [
      'a part that V2 lacks',
      'version: 1\ntables:\n  orders:\n    split: [order_core, order_biling]',
      /mapping.yaml:4: the new schema has no table order_biling/,
      /order_billing/,
    ],
    [
      'a column that V1 lacks',
      `version: 1\ntables:\n  orders:\n    ${PARTS}\n    columns:\n      extra: details\n      cent: cents`,
      /mapping.yaml:7: orders has no column cent/,
      /cents/,
    ],
    [
      'a column without a place',
      `version: 1\ntables:\n  orders:\n    ${PARTS}`,
      /mapping.yaml:3: orders.extra has no place/,
      /dropped/,
    ],
    [
      'a part without the key',
      'version: 1\ntables:\n  orders:\n    split: [order_core, order_billing, order_extra]\n    columns: {extra: details}',
      /mapping.yaml:4: order_extra has no column order_id/,
      /Did you mean id/,
    ],
    [
      'two rules for one table',
      'version: 1\ntables:\n  orders: order_core\n  orders: order_billing',
      /mapping.yaml:4: two rules for one thing/,
      /./,
    ],
    [
      'two rules for one table under two names',
      `version: 1\ntables:\n  customers: {columns: {note: dropped}}\n  public.customers: {columns: {note: dropped}}`,
      /mapping.yaml:4: two rules for one table/,
      /./,
    ],
    [
      'both to and split',
      'version: 1\ntables:\n  orders:\n    to: order_core\n    split: [order_core, order_billing]',
      /mapping.yaml:3: two rules for one thing/,
      /one of them/,
    ],
    [
      'a partition that takes nothing',
      'version: 1\ntables:\n  customers:\n    partition:\n      - { table: customers }\n      - { table: customers, where: note IS NULL }',
      /mapping.yaml:5: customers does not say which rows it takes/,
      /`where`/,
    ],
    [
      'a partition over a column that is not there',
      'version: 1\ntables:\n  customers:\n    partition:\n      - { table: customers, where: noet = 1 }\n      - { table: customers }',
      /mapping.yaml:5: .*has no column noet/,
      /note/,
    ],
    [
      'both partition and to',
      'version: 1\ntables:\n  customers:\n    to: customers\n    partition: [{ table: customers, where: note IS NULL }, { table: customers }]',
      /mapping.yaml:3: two rules for one thing/,
      /Leave out/,
    ],
    [
      'a partition that V2 lacks',
      'version: 1\ntables:\n  customers:\n    partition:\n      - { table: customers, where: note IS NULL }\n      - { table: custmers }',
      /mapping.yaml:6: the new schema has no table custmers/,
      /customers/,
    ],
    [
      'two columns to one place',
      `version: 1\ntables:\n  customers:\n    columns:\n      note: name`,
      /mapping.yaml:\d: two rules for one thing/,
      /./,
    ],
    [
      'an expression that does not parse',
      `version: 1\ntables:\n  customers:\n    columns:\n      note: { to: note, read: "note ||", write: note }`,
      /mapping.yaml:5: an expression does not parse/,
      /SELECT list/,
    ],
    [
      'an expression over a column that is not there',
      `version: 1\ntables:\n  customers:\n    columns:\n      note: { to: note, read: noet, write: note }`,
      /mapping.yaml:5: .* has no column noet/,
      /note/,
    ],
    [
      'a conversion one way only',
      `version: 1\ntables:\n  customers:\n    columns:\n      note: { to: note, read: upper(note) }`,
      /mapping.yaml:5: note is converted one way only/,
      /./,
    ],
    [
      'a rule that says nothing',
      'version: 1\ntables:\n  customers: {}',
      /mapping.yaml:3: nothing is said about customers/,
      /./,
    ],
    [
      'a statement by neither name',
      'version: 1\nstatements:\n  - sql: SELECT 1',
      /mapping.yaml:3: a statement is named by/,
      /./,
    ],
    [
      'two rules for one statement',
      'version: 1\nstatements:\n  - pattern: SELECT 1\n    sql: SELECT 2\n  - pattern: SELECT  5\n    sql: SELECT 3',
      /mapping.yaml:5: two rules for one statement/,
      /./,
    ],
    [
      'a statement that does not parse',
      'version: 1\nstatements:\n  - pattern: SELECT 1\n    sql: SELEC 2',
      /mapping.yaml:3: `sql` does not parse/,
      /./,
    ],
    [
      'a result that is none of them',
      'version: 1\nstatements:\n  - pattern: SELECT 1\n    sql: [SELECT 2]\n    result: 2',
      /mapping.yaml:3: result: 2/,
      /./,
    ],
    [
      'a fingerprint that is none',
      'version: 1\nstatements:\n  - fingerprint: abc\n    sql: SELECT 1',
      /mapping.yaml:3: .*fingerprint/,
      /./,
    ],
  ])('%s', (_, text, message, hint) => {
    const error = errorOf(text)
    expect(error.message).toMatch(message)
    expect(error.hint).toMatch(hint)
    expect(error.exit).toBe(2)
  })
})
