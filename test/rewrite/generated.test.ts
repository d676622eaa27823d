/**
 * Random statements over random tables and random mappings, on real databases: what the old schema answers, the new one answers, and the tables
 * are equal afterwards. A failure names its seed; PGREHEARSE_SEED repeats it.
 */
import { expect, test } from 'vitest'
import { createDice, type Dice } from './dice.js'
import { createWorld, type WorldParts } from './world.js'

const SCHEMAS = Number(process.env.PGREHEARSE_SCHEMAS ?? 5)
const STATEMENTS = 40
const seed = Number(process.env.PGREHEARSE_SEED ?? Date.now() % 1_000_000)

type Column = {
  readonly name: string
  readonly type: string
  readonly to: string
  readonly part: number
  readonly notNull: boolean
  readonly fallback: string | null
  /** V2 has it no more: it was never anything but NULL. */
  readonly isDropped: boolean
}
type Shape = {
  readonly columns: readonly Column[]
  readonly parts: number
  readonly keyTo: readonly string[]
  readonly kind: 'split' | 'moved' | 'merged' | 'partitioned'
  /** A column that V2 has in another form, by its name. */
  readonly converted: string | null
  /** V2 has a column more in its first table, which needs a value. */
  readonly added: string | null
}

/** A way to store a value otherwise that loses nothing. */
const CONVERSIONS: Readonly<
  Record<string, { type: string; read: (name: string) => string; write: (name: string) => string }>
> = {
  int: { type: 'numeric', read: (name) => `(${name} / 2)::int`, write: (name) => `${name} * 2.0` },
  bigint: { type: 'text', read: (name) => `${name}::bigint`, write: (name) => `${name}::text` },
  boolean: {
    type: 'int',
    read: (name) => `${name} = 1`,
    write: (name) => `CASE WHEN ${name} THEN 1 WHEN NOT ${name} THEN 0 END`,
  },
  date: { type: 'int', read: (name) => `DATE '2000-01-01' + ${name}`, write: (name) => `${name} - DATE '2000-01-01'` },
}

const VALUES: Readonly<Record<string, (dice: Dice) => string>> = {
  int: (dice) => String(dice.int(-20, 20)),
  bigint: (dice) => String(dice.int(0, 1000)),
  text: (dice) => `'${dice.pick(['a', 'b', "it''s", 'é', ''])}'`,
  'varchar(5)': (dice) => `'${dice.pick(['x', 'yy', 'abcde', 'toolong'])}'`,
  'numeric(8, 2)': (dice) => dice.pick(['1.5', '2.25', '0', '-3.1']),
  boolean: (dice) => dice.pick(['true', 'false']),
  date: (dice) => `'2025-0${dice.int(1, 9)}-11'`,
}

const KINDS = ['split', 'partitioned', 'merged', 'moved', 'split'] as const

function shapeOf(dice: Dice, at: number): Shape {
  const kind = KINDS[at % KINDS.length]!
  const parts = kind === 'split' ? dice.int(2, 3) : 1
  const types = Object.keys(VALUES)
  const columns = Array.from({ length: dice.int(3, 8) }, (_, i): Column => {
    const type = dice.pick(types)
    const name = dice.pick(['a', 'note', 'Select', 'größe', 'v']) + i
    // Each table of V2 keeps a column of its own.
    const isDropped = i >= parts && dice.chance(0.2)
    return {
      isDropped,
      name,
      type,
      to: dice.chance(0.3) ? `${name}_new` : name,
      part: i < parts ? i : dice.int(0, parts - 1),
      notNull: !isDropped && dice.chance(0.3),
      fallback: !isDropped && dice.chance(0.4) ? VALUES[type]!(dice).replace('toolong', 'long') : null,
    }
  })
  const plain = columns.find(({ type, isDropped }) => !isDropped && CONVERSIONS[type] !== undefined)
  return {
    kind,
    converted: plain && kind !== 'split' && dice.chance(0.6) ? plain.name : null,
    columns,
    parts,
    added: kind !== 'merged' && dice.chance(0.3) ? dice.pick(["'EU'", 'coalesce(id, 0) * 2', "length('four')"]) : null,
    keyTo: Array.from({ length: parts }, (_, i) => (i === 0 || dice.chance(0.6) ? 'id' : 'row_id')),
  }
}

/** Which of several broken constraints is named, and how many numbers several rows drew before one failed, may differ. */
const LOOSE = { anyError: true, ownNumbers: true }

const q = (name: string): string => `"${name}"`

function writtenAs({ type, isDropped }: Column, dice: Dice): string {
  return isDropped ? 'NULL' : VALUES[type]!(dice)
}

function partsOf(shape: Shape, dice: Dice): WorldParts {
  const { columns, keyTo, kind, added } = shape
  const kept = columns.filter(({ isDropped }) => !isDropped)
  const define = (name: string, { type, notNull, fallback }: Column): string =>
    `${q(name)} ${type}${notNull ? ' NOT NULL' : ''}${fallback === null ? '' : ` DEFAULT ${fallback}`}`
  const conversionOf = ({ name, type }: Column) => (name === shape.converted ? CONVERSIONS[type]! : null)
  const defineNew = (column: Column): string => {
    const found = conversionOf(column)
    if (found === null) return define(column.to, column)
    const fallback = column.fallback === null ? null : `(${found.write(`(${column.fallback})::${column.type}`)})`
    return define(column.to, { ...column, type: found.type, fallback })
  }
  const stored = (column: Column) => conversionOf(column)?.write(q(column.name)) ?? q(column.name)
  const rows = Array.from(
    { length: 8 },
    (_, i) => `(${[i + 1, ...columns.map((one) => writtenAs(one, dice).replace('toolong', 'long'))].join(', ')})`,
  )
  const before = `
    CREATE TABLE t (id serial PRIMARY KEY, ${columns.map((column) => define(column.name, column)).join(', ')});
    CREATE TABLE other (id int PRIMARY KEY, word text);
    INSERT INTO t VALUES ${rows.join(', ')};
    INSERT INTO other SELECT i, 'w' || i FROM generate_series(1, 5) i;
    SELECT setval('t_id_seq', 1000);`
  const table = (
    name: string,
    own: readonly Column[],
    keyName: string,
    isFirst: boolean,
    more: string,
    where: string,
  ) => {
    const keyDefault = isFirst ? ` DEFAULT nextval('t_id_seq')` : ' REFERENCES p0 ON UPDATE CASCADE'
    const extra = isFirst && added !== null ? ['extra_v2'] : []
    const named = [q(keyName), ...own.map(({ to }) => q(to)), ...extra].join(', ')
    const defined = [...own.map(defineNew), ...extra.map((one) => `${one} text NOT NULL`)]
    return `
    CREATE TABLE ${name} (${[`${q(keyName)} int PRIMARY KEY${keyDefault}`, ...defined].join(', ')}${more});
    INSERT INTO ${name} (${named}) SELECT ${['id', ...own.map(stored), ...extra.map(() => "'as it was'")].join(', ')} FROM t${where};`
  }
  const places = {
    split: () =>
      keyTo.map((key, part) =>
        table(
          `p${part}`,
          kept.filter((one) => one.part === part),
          key,
          part === 0,
          '',
          '',
        ),
      ),
    moved: () => ['CREATE SCHEMA far;', table('far.p0', kept, 'id', true, '', '')],
    merged: () => [
      table('p0', kept, 'id', true, ", whose text NOT NULL DEFAULT 'mine'", ''),
      `
    INSERT INTO p0 SELECT 5000 + id, ${kept.map(({ to }) => `${q(to)}, `).join('')}'theirs' FROM p0;
    ALTER TABLE p0 ALTER whose DROP DEFAULT;`,
    ],
    partitioned: () => [
      table('p0', kept, 'id', true, '', ' WHERE id % 3 = 0'),
      table('p1', kept, 'id', true, '', ' WHERE id % 3 <> 0'),
    ],
  }
  const split = keyTo.map((key, part) => (key === 'id' ? `p${part}` : `{table: p${part}, key: [${key}]}`))
  const went = {
    split: `split: [${split.join(', ')}]`,
    moved: 'to: far.p0',
    merged: `to: p0\n    where: whose = 'mine'\n    added: { whose: "'mine'" }`,
    partitioned: 'partition: [{ table: p0, where: id % 3 = 0 }, { table: p1 }]',
  }
  const changed = columns.flatMap((column) => {
    const { name, to, isDropped } = column
    if (isDropped) return [`      ${q(name)}: dropped`]
    const found = conversionOf(column)
    if (found === null) return name === to ? [] : [`      ${q(name)}: ${q(to)}`]
    const [read, write] = [found.read(q(to)), found.write(q(name))].map((one) => JSON.stringify(one))
    return [`      ${q(name)}: { to: ${q(to)}, read: ${read}, write: ${write} }`]
  })
  const shown = (from: (part: number) => string) =>
    columns
      .map((column) => {
        if (column.isDropped) return `NULL::${column.type}`
        const place = `${from(column.part)}${q(column.to)}`
        return conversionOf(column)?.read(place) ?? place
      })
      .join(', ')
  const joins = keyTo.slice(1).map((key, at) => ` JOIN p${at + 1} ON p${at + 1}.${q(key)} = p0.id`)
  const asBefore = {
    split: `SELECT p0.id, ${shown((part) => `p${part}.`)} FROM p0${joins.join('')}`,
    moved: `SELECT id, ${shown(() => '')} FROM far.p0`,
    merged: `SELECT id, ${shown(() => '')} FROM p0 WHERE whose = 'mine'`,
    partitioned: `SELECT id, ${shown(() => '')} FROM p0 UNION ALL SELECT id, ${shown(() => '')} FROM p1`,
  }
  return {
    before,
    after: `${places[kind]().join('')} ALTER SEQUENCE t_id_seq OWNED BY NONE; DROP TABLE t;`,
    mapping: `version: 1\ntables:\n  t:\n    ${went[kind]}\n${added === null ? '' : `    added: { extra_v2: ${JSON.stringify(`(${added})::text`)} }\n`}${changed.length > 0 ? `    columns:\n${changed.join('\n')}\n` : ''}`,
    tables: { t: asBefore[kind], other: 'SELECT * FROM other' },
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
      `${named(one)} = ${writtenAs(one, dice)}`,
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
    `(${given.map((one) => (dice.chance(0.15) ? 'DEFAULT' : rows === 1 ? writtenAs(one, dice) : writtenAs(one, dice).replace('toolong', 'long'))).join(', ')})`
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
        const value = dice.chance(0.2) ? 'DEFAULT' : dice.chance(0.3) ? named(one) : writtenAs(one, dice)
        return `${q(one.name)} = ${value}`
      })
      return `UPDATE t ${alias} SET ${items.join(', ')}${where}${returning}`
    }
  }
}

/** Once they failed. 871923: nothing but DEFAULT for a table that is rewritten. */
const FOUND = process.env.PGREHEARSE_SEED ? [] : [871923, 484743]

/** Refused where tables are chosen by what is given: see partition.test.ts. */
const GIVES_NOTHING = /VALUES (\((DEFAULT(, )?)+\)(, )?)+( RETURNING|$)/

test.each([...Array.from({ length: SCHEMAS }, (_, i) => seed + i), ...FOUND])('seed %i', async (own) => {
  const dice = createDice(own)
  const shape = shapeOf(dice, own)
  const parts = partsOf(shape, dice)
  const world = await createWorld(parts)
  try {
    for (let i = 0; i < STATEMENTS; i++) {
      const statements = Array.from({ length: dice.int(1, 3) }, () => {
        const text = statementOf(shape, dice)
        return parts.mapping.includes('partition:') && GIVES_NOTHING.test(text) ? 'SELECT 1' : text
      })
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
  console.log(
    `seed ${own}: ${shape.kind}${shape.converted === null ? '' : ', converted'}, ${STATEMENTS} sequences of statements`,
  )
})
