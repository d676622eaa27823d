/** `pgrehearse replay`: what it refuses, what it does, and what it says. */
import { existsSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCli } from '../../cli/cli.js'
import { register } from '../../cli/commands/replay.js'
import { databaseOf, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { type Marker, writeMarker } from '../../replayer/shadow/marker.js'
import { openRun } from '../../segment/run-file.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { simple, Tape, unnamed } from './tape.js'

const MARKER: Marker = { snapshotId: 'snap', role: 'shadow', createdAtMs: 0, policyHash: '', keyFingerprint: '' }

let recording: string
let plain: TestDatabase
let shadow: string
let otherwise: string
beforeAll(async () => {
  const tape = new Tape()
    .send(1, simple('SELECT 1'))
    .send(1, unnamed('SELECT $1::int', ['2']))
    .send(2, simple('SELECT 1/0'))
  recording = tape.send(2, { ...simple('SELECT 4'), unreplayable: 'cannot tokenize box' }).write()
  plain = await createDatabase()
  shadow = await marked('shadow', MARKER)
  otherwise = await marked('otherwise', { ...MARKER, keyFingerprint: 'another' })
})
afterAll(async () => {
  rmSync(dirname(recording), { recursive: true })
  for (const url of [shadow, otherwise]) await plain.query(`DROP DATABASE ${databaseOf(url)}`)
  await plain.drop()
})

/** A shadow that nobody is connected to. */
async function marked(name: string, marker: Marker): Promise<string> {
  const database = `${plain.name}_${name}`
  await plain.query(`CREATE DATABASE ${database}`)
  const url = withDatabase(plain.url, database)
  await withClient(url, (client) => writeMarker(client, database, marker))
  return url
}

type Said = { exit: number; out: string; err: string }

/** `interrupts` is given the means to press Ctrl-C. */
async function command(
  of: string,
  target: string,
  more: readonly string[],
  interrupts: (press: () => void) => void = () => {},
): Promise<Said> {
  const said = { out: '', err: '' }
  const host = {
    env: {},
    cwd: () => dirname(of),
    on: (event: string, listener: () => void) => {
      if (event === 'SIGINT') interrupts(listener)
      return host
    },
    exit: () => {},
    exitCode: 0,
    stdout: { write: (text: string) => (said.out += text), on: () => {} },
    stderr: { on: () => {}, write: (text: string) => (said.err += text), isTTY: false },
  }
  const program = new Command('pgrehearse').exitOverride()
  register(program, createCli(host as unknown as NodeJS.Process))
  await program.parseAsync(['replay', of, '--target', target, '--out', 'run', ...more], { from: 'user' })
  return { exit: host.exitCode, ...said }
}

const replay = (target: string, ...more: string[]): Promise<Said> => command(recording, target, more)

describe('refuses', () => {
  test.each([
    { name: 'a speed that is none', more: ['--speed', 'fast'], code: 'OPTION_VALUE' },
    { name: 'a speed of nothing', more: ['--speed', '0'], code: 'OPTION_VALUE' },
    { name: 'an order nobody knows', more: ['--order', 'random'], code: 'OPTION_VALUE' },
    { name: 'half a worker', more: ['--workers', '0.5'], code: 'OPTION_VALUE' },
    { name: 'a negative rate', more: ['--max-rate=-1'], code: 'OPTION_VALUE' },
    { name: 'a window that ends before it begins', more: ['--from', '10m', '--to', '5m'], code: 'OPTION_VALUE' },
    { name: 'a moment that is none', more: ['--from', 'noon'], code: 'OPTION_VALUE' },
    { name: 'a choice by something nobody knows', more: ['--only', 'colour=red'], code: 'OPTION_VALUE' },
    { name: 'a choice of nothing', more: ['--only', 'table=nowhere'], code: 'NOTHING_CHOSEN' },
    { name: 'a way to think nobody knows', more: ['--think', 'hard'], code: 'OPTION_VALUE' },
    { name: 'pauses without a clock', more: ['--speed', 'max', '--think', 'x2'], code: 'OPTION_VALUE' },
    { name: 'a ramp of no length anybody can read', more: ['--ramp', 'soon'], code: 'OPTION_VALUE' },
    { name: 'no pass at all', more: ['--loop', '0'], code: 'OPTION_VALUE' },
    { name: 'an injection without a moment', more: ['--inject', 'V7.sql'], code: 'OPTION_VALUE' },
    { name: 'an address that is none', more: ['--metrics', 'here'], code: 'OPTION_VALUE' },
  ])('$name, before anything is touched', async ({ more, code }) => {
    const { exit, err } = await replay(shadow, ...more)
    expect([exit, err.includes(code)]).toEqual([2, true])
    expect(existsSync(join(dirname(recording), 'run.open'))).toBe(false)
  })

  test('a database that is no shadow', async () => {
    const { exit, err } = await replay(plain.url)
    expect([exit, err.includes('NOT_A_SHADOW')]).toEqual([2, true])
  })

  test('a shadow that was masked with another key', async () => {
    const { exit, err } = await replay(otherwise)
    expect([exit, err.includes('MASKED_OTHERWISE')]).toEqual([2, true])
  })
})

test('what was left out is said, and why', async () => {
  const { exit, out } = await replay(shadow, '--speed', 'max', '--only', 'session=1', '--out', 'chosen')
  expect(exit).toBe(0)
  expect(out).toContain('replayed  2 of 4 statements, 2 of 4 transactions')
  expect(out).toContain('filtered  2: not chosen by --only')
  const run = openRun(join(dirname(recording), 'chosen'))
  expect(run.facts.settings.filter).toEqual(['--only session=1'])
  run.close()
})

test('replays, says what became of every statement, and refuses to do it over', async () => {
  const { exit, out, err } = await replay(shadow, '--speed', 'max')
  expect(exit).toBe(0)
  expect(out).toContain('replayed  3 of 4 statements')
  expect(out).toContain('skipped  1: unreplayable: cannot tokenize box')
  expect(err).toContain('plan: 4 statements')
  const run = openRun(join(dirname(recording), 'run'))
  expect(run.facts).toMatchObject({
    snapshotId: 'snap',
    settings: { speed: 'max', order: 'causal', readOnly: false },
    ledger: { seen: { statements: 4, transactions: 4 }, kept: { statements: 3, transactions: 3 } },
  })
  expect([...run.rows()].map(({ outcome }) => outcome.error?.sqlstate ?? outcome.tag)).toEqual([
    'SELECT 1',
    'SELECT 1',
    '22012',
  ])
  run.close()
  const again = await replay(shadow)
  expect([again.exit, again.err.includes('--force')]).toEqual([2, true])
  expect((await replay(shadow, '--force', '--order', 'commit', '--speed', '10')).exit).toBe(0)
})

describe('Ctrl-C and --resume', () => {
  test('end between two transactions, and go on from there', async () => {
    const LATER_US = 3_600_000_000
    const url = await marked('resumed', MARKER)
    await withClient(url, (client) => client.query('CREATE TABLE log (line int)'))
    const tape = new Tape()
    for (let i = 0; i < 6; i++)
      tape.send(1 + (i % 2), { ...simple(`INSERT INTO log VALUES (${i})`), sentUs: i < 3 ? i : LATER_US + i })
    const longer = tape.write()
    const count = async () =>
      Number((await withClient(url, (client) => client.query('SELECT count(*) FROM log'))).rows[0].count)
    try {
      const first = await command(longer, url, [], (press) => {
        const look = async (): Promise<void> => ((await count()) === 3 ? press() : void setImmediate(() => void look()))
        void look()
      })
      expect(first.exit).toBe(130)
      expect(first.err).toContain('stopping when transactions under way are over')
      expect(first.out).toContain('lost  3: interrupted')
      expect(first.err).toContain('where `replay --resume` can go on with it')

      expect((await command(longer, url, ['--resume', '--order', 'commit'])).err).toContain('other options: --order')
      expect((await command(longer, shadow, ['--resume'])).err).toContain('another shadow')
      expect((await command(longer, url, ['--resume', '--loop', '2'])).err).toContain('does not go with --loop')

      const second = await command(longer, url, ['--resume', '--speed', '100000'])
      expect(second.exit).toBe(0)
      expect(second.out).toContain('replayed  6 of 6 statements, 6 of 6 transactions')
      expect(await count()).toBe(6)
      const third = await command(longer, url, ['--resume'])
      expect([third.exit, third.err.includes('CANNOT_RESUME')]).toEqual([2, true])
    } finally {
      await plain.query(`DROP DATABASE ${databaseOf(url)} WITH (FORCE)`)
      rmSync(dirname(longer), { recursive: true })
    }
  })

  test('--resume without a run is told so', async () => {
    const { exit, err } = await replay(shadow, '--resume', '--out', 'nowhere')
    expect([exit, err.includes('there is no run at')]).toEqual([2, true])
  })
})
