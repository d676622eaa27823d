/** What docs/ci.md and action.yml tell a CI to do, done: the scripts are taken from there and run by a shell. */

import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { scratch } from './command.js'
import { rehearsed, type Shadows, shadowServer } from './rehearsed.js'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const PAGE = readFileSync(at('docs/ci.md'), 'utf8')
const MAIN = at('dist/cli/main.js')

/** The code block under a heading. */
function block(heading: string): string {
  const [, text] = new RegExp(`## ${heading}\\n[\\s\\S]*?\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(PAGE) ?? []
  if (text === undefined) throw new Error(`no block under ${heading}`)
  return text
}

let room: string
let shadows: Shadows
beforeAll(async () => {
  room = scratch()
  shadows = await shadowServer()
  await rehearsed(room)
  mkdirSync(join(room, 'bin'))
  writeFileSync(join(room, 'bin', 'pgrehearse'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 })
  const gate = 'findings: {LATENCY_SPIKE: 99}\nlatency: {executions_min: 100000}\ntrust: {lateness_p95_ms: 100000}\n'
  writeFileSync(join(room, 'gate.yaml'), gate)
}, 120_000)
afterAll(async () => {
  await shadows?.stop()
  rmSync(room, { recursive: true, force: true })
})

function rehearse(migration: string): void {
  writeFileSync(join(room, 'v2.sql'), migration)
  writeFileSync(
    join(room, 'pgrehearse.yaml'),
    JSON.stringify({
      recording: 'recording',
      snapshot: 'snapshot',
      server: shadows.url,
      v1: { migrate: 'schema-note.sql' },
      v2: { migrate: 'v2.sql' },
      noise: false,
      replay: { speed: 'max', workers: 1 },
      gate: 'gate.yaml',
    }),
  )
  writeFileSync(join(room, 'schema-note.sql'), "SELECT 'of the tests of CI'")
}

function bash(script: string, env: Record<string, string> = {}): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    const path = `${join(room, 'bin')}:${process.env.PATH}`
    const { GITHUB_ACTIONS: _, ...own } = process.env
    execFile('bash', ['-c', script], { cwd: room, env: { ...own, PATH: path, ...env } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out: out + err }),
    )
  })
}

const FAITHFUL = 'ALTER TABLE moves ADD COLUMN note text;'
const FAULTY = 'UPDATE accounts SET owner = left(owner, 5);'

test('the shell example: its words and its exit code follow the verdict', async () => {
  rehearse(FAITHFUL)
  expect(await bash(block('A shell'))).toMatchObject({ code: 0, out: expect.stringContaining('V2 is ready.') })
  rehearse(FAULTY)
  expect(await bash(block('A shell'))).toMatchObject({ code: 1, out: expect.stringContaining('V2 is not ready; see') })
})

test('the GitLab example: the script, and the files it keeps', async () => {
  const { rehearsal } = parse(block('GitLab CI'))
  rehearse(FAULTY)
  expect((await bash(rehearsal.script.join('\n'))).code).toBe(1)
  expect(readFileSync(join(room, rehearsal.artifacts.reports.junit), 'utf8')).toContain('<failure')
  expect(readFileSync(join(room, rehearsal.artifacts.paths[0]), 'utf8')).toContain('<!doctype html>')
})

type ActionStep = { readonly name?: string; readonly run?: string; readonly env?: Record<string, string> }

describe('the GitHub action', () => {
  const action = parse(readFileSync(at('action.yml'), 'utf8'))
  const steps: ActionStep[] = action.runs.steps.filter(({ run }: ActionStep) => run !== undefined)
  const checkout = () => join(room, 'checkout')

  /** What a runner puts where an expression stands; one that it would not know is a mistake. */
  const filledIn = (text: string) =>
    text.replaceAll(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
      if (expression === 'github.action_path') return checkout()
      const input = /^inputs\.([\w-]+)$/.exec(expression)?.[1]
      if (input === undefined || action.inputs[input] === undefined)
        throw new Error(`no such expression: ${expression}`)
      return action.inputs[input].default
    })

  const asRunner = async () => {
    const [output, summary] = [join(room, 'output'), join(room, 'summary')]
    for (const path of [output, summary]) writeFileSync(path, '')
    const { run, env } = steps.find(({ name }) => name === 'Rehearse')!
    const ended = await bash(filledIn(run!), {
      GITHUB_ACTIONS: 'true',
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
      ...Object.fromEntries(Object.entries(env!).map(([name, value]) => [name, filledIn(value)])),
    })
    return { ...ended, output: readFileSync(output, 'utf8'), summary: readFileSync(summary, 'utf8') }
  }

  test('every script of it is run here', () => {
    expect(steps.map(({ name }) => name)).toEqual(['Install', 'Rehearse'])
  })

  /**
   * Without its build. What is installed already comes along, as links of its own: should the set-up install anew, it removes those and
   * not what the other tests stand on. That npm ci installs it is how `npm test` begins.
   */
  test('it installs itself: a checkout without a build has one afterwards', async () => {
    const leftOut = new Set(['node_modules', 'dist', '.git'].map((name) => at(name)))
    cpSync(at('.'), checkout(), { recursive: true, filter: (path) => !leftOut.has(path) })
    execFileSync('cp', ['-al', at('node_modules'), join(checkout(), 'node_modules')])
    const { run, 'working-directory': folder } = steps.find(({ name }) => name === 'Install') as Record<string, string>
    const ended = await bash(`cd ${filledIn(folder!)} && ${run}`)
    expect([ended.code, ended.out]).toEqual([0, expect.not.stringContaining('Installing')])
    expect(existsSync(join(checkout(), 'dist', 'cli', 'main.js'))).toBe(true)
  }, 180_000)

  test.each([
    { name: 'a pass', migration: FAITHFUL, code: 0, verdict: 'PASS' },
    { name: 'a fail', migration: FAULTY, code: 1, verdict: 'FAIL' },
  ])('$name: exit code, output, summary and annotations', async ({ migration, code, verdict }) => {
    rehearse(migration)
    const ended = await asRunner()
    expect(ended).toMatchObject({ code, output: `exit-code=${code}\n` })
    expect(ended.summary).toContain(`### pgrehearse: ${verdict}`)
    expect(ended.out).toMatch(new RegExp(`::(notice|error) title=pgrehearse%3A ${verdict}::`))
  })

  test('every input and every file it keeps is one that run knows', () => {
    const used = JSON.stringify(action.runs.steps)
    expect(Object.keys(action.inputs)).toHaveLength(3)
    for (const name of Object.keys(action.inputs)) expect(used).toContain(`inputs.${name}`)
  })
})
