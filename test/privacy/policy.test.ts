import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolvePolicy } from '../../privacy/policy/columns.js'
import { EMPTY_POLICY, parsePolicy, policyHash } from '../../privacy/policy/policy.js'
import type { Catalog } from '../../segment/catalog.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { catalogOf } from './support.js'

let database: TestDatabase
let catalog: Catalog
beforeAll(async () => {
  database = await createDatabase(`
    CREATE TYPE mood AS ENUM ('happy', 'sad');
    CREATE DOMAIN label AS varchar(20);
    CREATE TABLE people (id int PRIMARY KEY, email varchar(80) UNIQUE, note text, mood mood, born date, ip inet, data jsonb, tags text[],
      tag label, key uuid, score numeric, ok boolean, photo bytea);
    CREATE TABLE letters (id int PRIMARY KEY, recipient varchar(30) REFERENCES people (email), body text);
    CREATE TABLE logs (day date, who text) PARTITION BY RANGE (day);
    CREATE TABLE logs_2024 PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');`)
  catalog = await catalogOf(database)
})
afterAll(() => database.drop())

function kindOf(policyText: string, table: string, column: string): string {
  const resolved = resolvePolicy(policyText === '' ? EMPTY_POLICY : parsePolicy(policyText, 'policy.yaml'), catalog)
  return rule(resolved, table, column).kind
}

function rule(resolved: ReturnType<typeof resolvePolicy>, table: string, column: string) {
  const relation = catalog.relations.find((one) => one.name === table)!
  const attnum = relation.columns.find((one) => one.name === column)!.attnum
  return resolved.ruleOf(relation.oid, attnum)!
}

const policy = (...lines: string[]): string => `version: 1\ncolumns:\n${lines.map((line) => `  ${line}\n`).join('')}`

describe('without a name the type decides: deny by default', () => {
  test.each([
    ['email', 'text'],
    ['note', 'text'],
    ['tags', 'text'],
    ['tag', 'text'],
    ['photo', 'text'],
    ['data', 'json'],
    ['ip', 'ip'],
    ['id', 'keep'],
    ['score', 'keep'],
    ['ok', 'keep'],
    ['born', 'keep'],
    ['mood', 'keep'],
    ['key', 'keep'],
  ])('%s is %s', (column, kind) => expect(kindOf('', 'people', column)).toBe(kind))
})

describe('names', () => {
  test('the exact name beats a glob, the narrower glob the wider', () => {
    const text = policy('"*.*.*": keep', 'public.people.*: text', 'public.people.email: email')
    expect(kindOf(text, 'people', 'email')).toBe('email')
    expect(kindOf(text, 'people', 'note')).toBe('text')
    expect(kindOf(text, 'letters', 'body')).toBe('keep')
  })
  test('a glob passes by what its kind does not fit', () =>
    expect(kindOf(policy('public.people.*: email'), 'people', 'id')).toBe('keep'))
  test('columns that reference each other share kind and width', () => {
    const resolved = resolvePolicy(parsePolicy(policy('public.people.email: email'), 'policy.yaml'), catalog)
    expect(rule(resolved, 'letters', 'recipient')).toMatchObject({ kind: 'email', limit: 30 })
    expect(rule(resolved, 'people', 'email')).toMatchObject({ kind: 'email', limit: 30 })
  })
  test('the referencing side may be the one that is named', () =>
    expect(kindOf(policy('public.letters.recipient: email'), 'people', 'email')).toBe('email'))
  test('a partition follows its table', () =>
    expect(kindOf(policy('public.logs.who: full_name'), 'logs_2024', 'who')).toBe('full_name'))
})

describe('a mistake names file, line and what was probably meant', () => {
  test.each([
    {
      name: 'a kind',
      text: policy('public.people.id: keep', 'public.people.email: emial'),
      line: 4,
      says: ['`emial`'],
      hint: '`email`',
    },
    {
      name: 'a column',
      text: policy('public.people.emial: email'),
      line: 3,
      says: ['public.people.emial'],
      hint: 'public.people.email',
    },
    {
      name: 'a name of two parts',
      text: policy('people.email: email'),
      line: 3,
      says: ['people.email'],
      hint: 'public.people.email',
    },
    {
      name: 'a kind for another type',
      text: policy('public.people.born: email'),
      line: 3,
      says: ['`email`'],
      hint: 'date_shift',
    },
    { name: 'a key of the file', text: 'version: 1\ncolums: {}\n', line: 2, says: ['`colums`'], hint: '`columns`' },
    { name: 'no version', text: 'columns: {}\n', line: 1, says: ['version'], hint: 'version: 1' },
    { name: 'broken YAML', text: 'version: 1\ncolumns: [\n', line: 3, says: ['YAML'], hint: '' },
    {
      name: 'two kinds for columns that reference each other',
      text: policy('public.people.email: email', 'public.letters.recipient: text'),
      line: 4,
      says: ['disagree', 'line 3'],
      hint: 'same kind',
    },
    {
      name: 'a kind inside JSON',
      text: policy('public.people.data: { json: { "a.b": emial } }'),
      line: 3,
      says: ['`emial`'],
      hint: '`email`',
    },
  ])('$name', ({ text, line, says, hint }) => {
    let error: { message: string; hint?: string; exit?: number } | null = null
    try {
      resolvePolicy(parsePolicy(text, 'policy.yaml'), catalog)
    } catch (cause) {
      error = cause as { message: string; hint?: string }
    }
    expect(error?.message).toContain(`policy.yaml:${line}: `)
    for (const word of says) expect(error?.message).toContain(word)
    expect(error?.hint).toContain(hint)
    expect(error?.exit).toBe(2)
  })
})

describe('the hash', () => {
  const hash = (text: string): string => policyHash(parsePolicy(text, 'any name'))
  test('does not mind the order of lines or comments', () =>
    expect(hash(policy('public.a.b: email', 'public.c.d: text # note'))).toBe(
      hash(policy('public.c.d: text', 'public.a.b: email')),
    ))
  test('minds kinds, places inside JSON and the locale', () => {
    const texts = [
      policy('public.a.b: email'),
      policy('public.a.b: text'),
      policy('public.a.b: { json: { x: keep } }'),
      policy('public.a.b: { json: { y: keep } }'),
      `locale: de\n${policy('public.a.b: email')}`,
    ]
    expect(new Set(texts.map(hash)).size).toBe(texts.length)
  })
})
