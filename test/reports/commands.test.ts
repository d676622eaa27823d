import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { judgeDiff } from '../../reports/build-model.js'
import type { GateResult } from '../../reports/gate.js'
import { DEFAULT_GATE } from '../../reports/gate-config.js'
import { addState, createDiff } from '../../segment/diff-file.js'
import { pgrehearseWith, pgrehearse as runIn } from './command-line.js'
import { type SampleKind, sample, stateOf } from './sample.js'

let folder: string
const path = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-commands-'))
  for (const kind of ['PASS', 'FAIL', 'INVALID'] as const) writeDiff(kind)
})
afterAll(() => rmSync(folder, { recursive: true }))

function writeDiff(kind: SampleKind, name: string = kind): void {
  const source = sample({ kind, discrepancies: 120, queryShapes: 10 })
  const diff = createDiff(path(`${name}.diff`))
  for (const finding of source.findings()) diff.finding(finding)
  for (const discrepancy of source.discrepancies()) diff.discrepancy(discrepancy)
  for (const row of source.latency()) diff.latency(row)
  diff.close(source.facts)
}

const pgrehearse = (...args: string[]) => runIn(folder, ...args)

describe('gate', () => {
  test.each([
    { kind: 'PASS', exit: 0 },
    { kind: 'FAIL', exit: 1 },
    { kind: 'INVALID', exit: 3 },
  ])('$kind is exit code $exit', async ({ kind, exit }) => {
    const result = await pgrehearse('gate', path(`${kind}.diff`))
    expect(result.exit).toBe(exit)
    expect(result.out).toMatch(new RegExp(`^${kind}\n`))
  })

  test('a diff on disk is judged as it was in memory', async () => {
    const { gate } = judgeDiff(sample({ kind: 'FAIL', discrepancies: 120, queryShapes: 10 }), DEFAULT_GATE, Date.now())
    const differences = ({ lines }: GateResult) => lines.filter(({ group }) => group === 'differences')
    const onDisk = JSON.parse((await pgrehearse('gate', path('FAIL.diff'), '--json')).out) as GateResult
    expect(differences(onDisk)).toEqual(differences(gate))
  })

  test('what verify laid into the diff decides: the same answers, and tables that differ, fail', async () => {
    writeDiff('PASS', 'stored')
    expect((await pgrehearse('gate', path('stored.diff'))).exit).toBe(0)
    addState(path('stored.diff'), stateOf('FAIL'))
    const result = await pgrehearse('gate', path('stored.diff'))
    expect(result.exit).toBe(1)
    expect(result.out).toMatch(/FAIL +Tables that hold something else +≤ 0 +1 {2}5 tables compared; 1: users\./)
    const written = await pgrehearse(
      'report',
      path('stored.diff'),
      '--junit',
      path('s.xml'),
      '--markdown',
      path('s.md'),
    )
    expect(written.out).toContain('FAIL  V2 is not ready: 1 table holds something else after the replay.')
    expect(readFileSync(path('s.xml'), 'utf8')).toContain('<testcase classname="state" name="users"')
    expect(readFileSync(path('s.md'), 'utf8')).toContain('- after the replay, in users: email is cut')
    addState(path('stored.diff'), stateOf('PASS'))
    expect((await pgrehearse('gate', path('stored.diff'))).exit).toBe(0)
  })

  test('a configuration may allow what the defaults refuse', async () => {
    writeFileSync(
      path('lenient.yaml'),
      'findings: {SEMANTIC_MISMATCH: 9, SQL_ERROR: 9, SCHEMA_CONSTRAINT_VIOLATION: 9, LATENCY_SPIKE: 9}\n' +
        'mismatch_rate: 100%\nerror_rate: 100%\n' +
        'state: {tables: 9, schema: 9}\nlatency:\n  overall: {p50: 100, p95: 100, p99: 100}\n  per_query: {p50: 100, p95: 100}\n  weighted: 100\n',
    )
    expect((await pgrehearse('gate', path('FAIL.diff'), '--config', path('lenient.yaml'))).exit).toBe(0)
  })

  test('a mistake in the configuration is exit code 2, with its line', async () => {
    writeFileSync(path('wrong.yaml'), 'findings:\n  SQL_EROR: 1\n')
    const result = await pgrehearse('gate', path('PASS.diff'), '--config', path('wrong.yaml'))
    expect(result.exit).toBe(2)
    expect(result.err).toContain('line 2: SQL_EROR is not a setting; did you mean SQL_ERROR?')
  })

  test('a diff that is not there is exit code 2', async () => {
    const result = await pgrehearse('gate', path('none.diff'))
    expect(result).toMatchObject({ exit: 2, out: '' })
  })
})

describe('report', () => {
  test('writes what is asked for from a real diff, and says what is in it', async () => {
    const result = await pgrehearse('report', path('FAIL.diff'), '--html', path('r.html'), '--json', path('r.json'))
    expect(result.exit).toBe(0)
    expect(result.out).toContain('FAIL  V2 is not ready: 8 findings')
    expect(result.out).toContain('email is cut to 32 characters')
    expect(readFileSync(path('r.html'), 'utf8')).toMatch(/^<!doctype html>/)
    const model = JSON.parse(readFileSync(path('r.json'), 'utf8'))
    expect(model).toMatchObject({ format: 'pgrehearse report', formatVersion: 1, verdict: 'FAIL' })
  })

  test('--json without a file prints one object and nothing else', async () => {
    const result = await pgrehearse('report', path('PASS.diff'), '--json')
    expect(JSON.parse(result.out)).toMatchObject({ verdict: 'PASS', files: [] })
  })

  test('does not overwrite unless told to', async () => {
    writeFileSync(path('mine.html'), 'mine')
    const refused = await pgrehearse('report', path('PASS.diff'), '--html', path('mine.html'))
    expect(refused.exit).toBe(2)
    expect(refused.err).toContain('TARGET_EXISTS')
    expect(readFileSync(path('mine.html'), 'utf8')).toBe('mine')
    const forced = await pgrehearse('report', path('PASS.diff'), '--html', path('mine.html'), '--force')
    expect(forced.exit).toBe(0)
    expect(readFileSync(path('mine.html'), 'utf8')).toMatch(/^<!doctype html>/)
  })
})

describe('a gate that asks for a row of passes', () => {
  const gate = () => ['gate', path('PASS.diff'), '--config', path('row.yaml')] as const
  const history = () => path('row.history.json')

  beforeEach(() => {
    writeFileSync(path('row.yaml'), 'streak: {runs: 2}\n')
    rmSync(history(), { force: true })
  })

  test('keeps its history beside the file, and counts a diff once', async () => {
    const first = await pgrehearse(...gate())
    expect(first.exit).toBe(1)
    expect(first.out).toContain('1 rehearsal passed in a row so far, 2 needed.')
    expect((await pgrehearse(...gate())).exit).toBe(1)
    expect(JSON.parse(readFileSync(history(), 'utf8')).runs).toHaveLength(1)
  })

  test('passes when the row is long enough', async () => {
    const earlier = { diffId: 'yesterday', comparedAtMs: 1, verdict: 'PASS' }
    writeFileSync(history(), JSON.stringify({ format: 'pgrehearse gate history', formatVersion: 1, runs: [earlier] }))
    const reported = await pgrehearse('report', path('PASS.diff'), '--gate', path('row.yaml'))
    expect(reported.out).toMatch(/^PASS/)
    expect(JSON.parse(readFileSync(history(), 'utf8')).runs).toHaveLength(1)
    expect((await pgrehearse(...gate())).exit).toBe(0)
    expect(JSON.parse(readFileSync(history(), 'utf8')).runs).toHaveLength(2)
  })

  test('a damaged history is exit code 2', async () => {
    writeFileSync(history(), '{')
    expect(await pgrehearse(...gate())).toMatchObject({ exit: 2, out: '' })
  })
})

describe('in GitHub Actions', () => {
  test('the gate prints annotations', async () => {
    const inActions = (...args: string[]) => pgrehearseWith(folder, { GITHUB_ACTIONS: 'true' }, ...args)
    expect((await inActions('gate', path('FAIL.diff'))).out).toContain('\n::error title=pgrehearse%3A FAIL::')
    expect((await pgrehearse('gate', path('FAIL.diff'))).out).not.toContain('::error')
    expect(JSON.parse((await inActions('gate', path('FAIL.diff'), '--json')).out)).toMatchObject({ verdict: 'FAIL' })
  })
})

describe('report --compare', () => {
  test('says what changed between two reports, or since a report', async () => {
    await pgrehearse('report', path('FAIL.diff'), '--json', path('old.json'), '--force')
    await pgrehearse('report', path('PASS.diff'), '--json', path('new.json'), '--force')
    const result = await pgrehearse('report', '--compare', path('old.json'), path('new.json'))
    expect(result).toMatchObject({ exit: 0, err: '' })
    expect(result.out).toMatch(/^FAIL → PASS\n {2}gone /)
    expect((await pgrehearse('report', '--compare', path('old.json'), path('PASS.diff'))).out).toBe(result.out)
  })

  test('what is no report is exit code 2', async () => {
    writeFileSync(path('not.json'), '{}')
    const result = await pgrehearse('report', '--compare', path('not.json'), path('PASS.diff'))
    expect(result).toMatchObject({ exit: 2, out: '' })
    expect((await pgrehearse('report', '--compare', path('none.json'), path('PASS.diff'))).err).toContain('ENOENT')
  })
})
