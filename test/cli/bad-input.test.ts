/**
 * Bad input gets one message (what, why, what to do) and the right exit code, whatever the command. What concerns one room alone
 * (the recorder's refusals, policies, gate files) is tested there.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, inject, test } from 'vitest'
import { run, scratch } from './command.js'

const RELEASED = fileURLToPath(new URL('../../fixtures/segments/', import.meta.url))
const RECORDING = readdirSync(RELEASED).find((name) => existsSync(join(RELEASED, name, 'manifest.json')))!

let folder: string
let recording: string

beforeEach(() => {
  folder = scratch()
  recording = join(folder, 'recording')
  cpSync(join(RELEASED, RECORDING), recording, { recursive: true })
})

/** Without a server that production or a shadow could be. */
const NOWHERE = 'postgres://nobody@127.0.0.1:1/nothing'

describe('what is not a recording', () => {
  const commands = {
    inspect: (path: string) => ['inspect', path],
    plan: (path: string) => ['plan', path],
    replay: (path: string) => ['replay', path, '--target', NOWHERE, '--out', join(folder, 'a.run')],
  }
  test.each(Object.entries(commands))('%s: nothing there', async (_, args) => {
    refused(await run(...args(join(folder, 'absent'))), 2)
  })
  test.each(Object.entries(commands))('%s: some other folder', async (_, args) => {
    mkdirSync(join(folder, 'other'))
    refused(await run(...args(join(folder, 'other'))), 2)
  })
  test.each(Object.entries(commands))('%s: a truncated segment', async (_, args) => {
    const segment = segmentFile()
    truncateSync(segment, 4096)
    const ended = await run(...args(recording))
    refused(ended, 4)
    expect(ended.stderr).toContain('000001.sqlite')
  })
  test.each(Object.entries(commands))('%s: a segment that was changed', async (_, args) => {
    appendFileSync(segmentFile(), 'x')
    refused(await run(...args(recording)), 4)
  })
  test.each(Object.entries(commands))('%s: from a newer version', async (_, args) => {
    const path = join(recording, 'manifest.json')
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...manifest, formatVersion: 99 }))
    const ended = await run(...args(recording))
    refused(ended, 2)
    expect(ended.stderr).toMatch(/99/)
  })
})

describe('places and targets', () => {
  test('a target that cannot be reached', async () => {
    const ended = await run('replay', recording, '--target', NOWHERE, '--out', join(folder, 'a.run'))
    refused(ended, 4)
    expect(existsSync(join(folder, 'a.run'))).toBe(false)
  })
  test('a wrong password is said as such, and not repeated', async () => {
    const url = new URL(inject('serverUrl'))
    url.password = 'not-the-password'
    const ended = await run('replay', recording, '--target', url.href, '--out', join(folder, 'a.run'))
    refused(ended, 4)
    expect(ended.stderr).toMatch(/password/)
    expect(ended.stderr + ended.stdout).not.toContain('not-the-password')
  })
  test('a database that is no shadow is never replayed on', async () => {
    const ended = await run('replay', recording, '--target', inject('serverUrl'), '--out', join(folder, 'a.run'))
    refused(ended, 2)
    expect(ended.stderr).toContain('NOT_A_SHADOW')
  })
  test('a folder that is a file', async () => {
    writeFileSync(join(folder, 'file'), '')
    refused(await run('demo', '--out', join(folder, 'file', 'demo')), 4)
  })
  test('what exists is never overwritten', async () => {
    const before = readFileSync(join(recording, 'manifest.json'), 'utf8')
    refused(await run('demo', '--out', recording), 2)
    expect(readFileSync(join(recording, 'manifest.json'), 'utf8')).toBe(before)
  })
})

describe('words', () => {
  test.each([
    { name: 'no such command', args: ['reply'] },
    { name: 'no such option', args: ['inspect', 'x', '--nope'] },
    { name: 'a missing argument', args: ['inspect'] },
    { name: 'a missing option', args: ['replay', 'x'] },
  ])('$name: exit 2', async ({ args }) => {
    const ended = await run(...args)
    expect(ended.code).toBe(2)
    expect(ended.stderr).not.toMatch(/\n {4}at /)
  })
  test('an unknown fault names the known ones', async () => {
    const ended = await run('demo', '--faults', 'value-cut-shorter')
    refused(ended, 2)
    expect(ended.stderr).toContain('value-cut-short')
  })
  test('--json: one object on stdout, also for an error', async () => {
    const ended = await run('inspect', join(folder, 'absent'), '--json')
    expect(JSON.parse(ended.stdout).error).toMatchObject({
      code: expect.any(String),
      message: expect.any(String),
      hint: expect.any(String),
    })
  })
  test('--help lists every command and ends well', async () => {
    const ended = await run('--help')
    expect(ended.code).toBe(0)
    for (const command of ['demo', 'record', 'snapshot', 'inspect', 'plan', 'replay', 'compare', 'report', 'gate']) {
      expect(ended.stdout).toContain(`  ${command}`)
    }
  })
})

function segmentFile(): string {
  return join(recording, 'segments', '000001.sqlite')
}

/** One message: what, why, what to do; no stack. */
function refused(ended: { code: number | null; stderr: string }, code: number): void {
  expect(ended.stderr).toMatch(/error .+ \[[A-Z_]+\](\n {2}why {3}.+)?\n {2}fix {3}.+/)
  expect(ended.stderr).not.toContain('UNEXPECTED')
  expect(ended.stderr).not.toMatch(/\n {4}at /)
  expect(ended.code).toBe(code)
}
