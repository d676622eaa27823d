import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDiff } from '../../segment/diff-file.js'
import { pgrehearse as runIn } from './command-line.js'
import { type SampleKind, sample } from './sample.js'

let folder: string
const path = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-commands-'))
  for (const kind of ['PASS', 'FAIL', 'INVALID'] as const) writeDiff(kind)
})
afterAll(() => rmSync(folder, { recursive: true }))

function writeDiff(kind: SampleKind): void {
  const source = sample({ kind, discrepancies: 120, queryShapes: 10 })
  const diff = createDiff(path(`${kind}.diff`))
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

  test('a configuration may allow what the defaults refuse', async () => {
    writeFileSync(
      path('lenient.yaml'),
      'findings: {SEMANTIC_MISMATCH: 9, SQL_ERROR: 9, SCHEMA_CONSTRAINT_VIOLATION: 9, LATENCY_SPIKE: 9}\n' +
        'mismatch_rate: 100%\nerror_rate: 100%\n' +
        'latency:\n  overall: {p50: 100, p95: 100, p99: 100}\n  per_query: {p50: 100, p95: 100}\n  weighted: 100\n',
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
