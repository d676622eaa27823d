/**
 * Random statements over random tables and random mappings, on real databases: what the old schema answers, the new one answers, and the tables
 * are equal afterwards. A failure names its seed; PGREHEARSE_SEED repeats it.
 */
import { expect, test } from 'vitest'
import { createDice, type Dice } from './dice.js'
import { createWorld, type WorldParts } from './world.js'

const SCHEMAS = 4
const STATEMENTS = 40
const seed = Number(process.env.PGREHEARSE_SEED ?? Date.now() % 1_000_000)

type Column = {
  readonly name: string
  readonly type: string
  readonly to: string
  readonly part: number
  readonly notNull: boolean
  readonly fallback: string | null
}
type Shape = { readonly columns: readonly Column[]; readonly parts: number; readonly keyTo: readonly string[] }

const VALUES: Readonly<Record<string, (dice: Dice) => string>> = {
  int: (dice) => String(dice.int(-20, 20)),
  bigint: (dice) => String(dice.int(0, 1000)),
  text: (dice) => `'${dice.pick(['a', 'b', "it''s", 'é', ''])}'`,
  'varchar(5)': (dice) => `'${dice.pick(['x', 'yy', 'abcde', 'toolong'])}'`,
  'numeric(8, 2)': (dice) => dice.pick(['1.5', '2.25', '0', '-3.1']),
  boolean: (dice) => dice.pick(['true', 'false']),
  date: (dice) => `'2025-0${dice.int(1, 9)}-11'`,
}

function shapeOf(dice: Dice): Shape {
  const parts = dice.int(1, 3)
  const types = Object.keys(VALUES)
  const columns = Array.from({ length: dice.int(3, 8) }, (_, i): Column => {
    const type = dice.pick(types)
    const name = dice.pick(['a', 'note', 'Select', 'größe', 'v']) + i
    return {
      name,
      type,
      to: dice.chance(0.3) ? `${name}_new` : name,
      part: i < parts ? i : dice.int(0, parts - 1),
      notNull: dice.chance(0.3),
      fallback: dice.chance(0.4) ? VALUES[type]!(dice).replace('toolong', 'long') : null,
    }
  })
  return {
    columns,
    parts,
    keyTo: Array.from({ length: parts }, (_, i) => (i === 0 || dice.chance(0.6) ? 'id' : 'row_id')),
  }
}

/** Which of several broken constraints is named, and how many numbers several rows drew before one failed, may differ. */
const LOOSE = { anyError: true, ownNumbers: true }

const q = (name: string): string => `"${name}"`

function partsOf({ columns, parts, keyTo }: Shape, dice: Dice): WorldParts {
  const define = (name: string, { type, notNull, fallback }: Column): string =>
    `${q(name)} ${type}${notNull ? ' NOT NULL' : ''}${fallback === null ? '' : ` DEFAULT ${fallback}`}`
  const rows = Array.from(
    { length: 8 },
    (_, i) => `(${[i + 1, ...columns.map((one) => VALUES[one.type]!(dice).replace('toolong', 'long'))].join(', ')})`,
  )
  const before = `
    CREATE TABLE t (id serial PRIMARY KEY, ${columns.map((column) => define(column.name, column)).join(', ')});
    CREATE TABLE other (id int PRIMARY KEY, word text);
    INSERT INTO t VALUES ${rows.join(', ')};
    INSERT INTO other SELECT i, 'w' || i FROM generate_series(1, 5) i;
    SELECT setval('t_id_seq', 1000);`
  const made = Array.from({ length: parts }, (_, part) => {
    const own = columns.filter((column) => column.part === part)
    const keyDefault = part === 0 ? ` DEFAULT nextval('t_id_seq')` : ' REFERENCES p0 ON UPDATE CASCADE'
    return `
    CREATE TABLE p${part} (${[`${q(keyTo[part]!)} int PRIMARY KEY${keyDefault}`, ...own.map((column) => define(column.to, column))].join(', ')});
    INSERT INTO p${part} SELECT ${['id', ...own.map(({ name }) => q(name))].join(', ')} FROM t;`
  })
  const renamed = columns.filter(({ name, to }) => name !== to)
  const split = keyTo.map((key, part) => (key === 'id' ? `p${part}` : `{table: p${part}, key: [${key}]}`))
  return {
    before,
    after: `${made.join('')} ALTER SEQUENCE t_id_seq OWNED BY NONE; DROP TABLE t;`,
    mapping: `version: 1\ntables:\n  t:\n    ${parts > 1 ? `split: [${split.join(', ')}]` : 'to: p0'}\n${renamed.length > 0 ? `    columns:\n${renamed.map(({ name, to }) => `      ${q(name)}: ${q(to)}`).join('\n')}\n` : ''}`,
    tables: {
      t: `SELECT ${['p0.id', ...columns.map(({ to, part }) => `p${part}.${q(to)}`)].join(', ')} FROM p0${keyTo
        .slice(1)
        .map((key, at) => ` JOIN p${at + 1} ON p${at + 1}.${q(key)} = p0.id`)
        .join('')}`,
      other: 'SELECT * FROM other',
    },
  }
}

function statementOf({ columns }: Shape, dice: Dice): string {
  const column = () => dice.pick(columns)
  const alias = dice.pick(['', 'x', 'AS x'])
  const own = alias === '' ? dice.pick(['', 't.']) : dice.pick(['', 'x.'])
  const named = (one: Column) => `${own}${q(one.name)}`
  const condition = (): string => {
    const one = column()
    return dice.pick([
      `${own}id = ${dice.int(1, 9)}`,
      `${own}id > ${dice.int(1, 9)}`,
      `${named(one)} = ${VALUES[one.type]!(dice)}`,
      `${named(one)} IS NOT NULL`,
      `${own}id IN (SELECT id FROM other WHERE word <> 'w${dice.int(1, 5)}')`,
      `EXISTS (SELECT 1 FROM other o WHERE o.id = ${alias === '' ? 't' : 'x'}.id)`,
    ])
  }
  const where = dice.chance(0.8)
    ? ` WHERE ${condition()}${dice.chance(0.3) ? ` ${dice.pick(['AND', 'OR'])} ${condition()}` : ''}`
    : ''
  const shown = () =>
    dice.pick([
      '*',
      `${own}id, ${named(column())}`,
      `${named(column())} AS "Out", ${own}id`,
      `${own}id, coalesce(${named(column())}::text, '-')`,
    ])
  const returning = dice.chance(0.6) ? ` RETURNING ${shown()}` : ''
  const given = columns.filter((one) => dice.chance(0.7) || (one.notNull && one.fallback === null))
  const rows = dice.int(1, 3)
  const row = () =>
    `(${given.map((one) => (dice.chance(0.15) ? 'DEFAULT' : rows === 1 ? VALUES[one.type]!(dice) : VALUES[one.type]!(dice).replace('toolong', 'long'))).join(', ')})`
  switch (dice.int(0, 7)) {
    case 0:
      return `SELECT ${shown()} FROM t ${alias}${where} ORDER BY ${own}id`
    case 1:
      return `SELECT count(*), max(${named(column())}::text) FROM t ${alias} LEFT JOIN other ON other.id = ${alias === '' ? 't' : 'x'}.id`
    case 2:
      return `SELECT ${named(column())}, count(*) FROM t ${alias} GROUP BY 1 ORDER BY 1`
    case 3:
    case 4:
      if (given.length === 0) return 'SELECT 1'
      return `INSERT INTO t (${given.map(({ name }) => q(name)).join(', ')}) VALUES ${Array.from({ length: rows }, row).join(', ')}${returning.replaceAll('x.', 't.')}`
    case 5:
      return `DELETE FROM t ${alias}${where}${returning}`
    default: {
      const set = new Map(Array.from({ length: dice.int(1, 3) }, () => [column(), null]))
      const items = [...set.keys()].map((one) => {
        const value = dice.chance(0.2) ? 'DEFAULT' : dice.chance(0.3) ? named(one) : VALUES[one.type]!(dice)
        return `${q(one.name)} = ${value}`
      })
      return `UPDATE t ${alias} SET ${items.join(', ')}${where}${returning}`
    }
  }
}

test.each(Array.from({ length: SCHEMAS }, (_, i) => seed + i))('seed %i', async (own) => {
  const dice = createDice(own)
  const shape = shapeOf(dice)
  const parts = partsOf(shape, dice)
  const world = await createWorld(parts)
  try {
    for (let i = 0; i < STATEMENTS; i++) {
      const statements = Array.from({ length: dice.int(1, 3) }, () => statementOf(shape, dice))
      await world.compare(statements, LOOSE).catch((error: unknown) => {
        throw new Error(
          `PGREHEARSE_SEED=${own} (statement ${i})\n${parts.mapping}\n${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        )
      })
    }
  } finally {
    await world.close()
  }
  expect(world.book.rules.size).toBe(1)
})
