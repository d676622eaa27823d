/**
 * The demo, small: a correct V2 has no difference, planted faults are found and named, and nothing is left running.
 */
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDiff } from '../../segment/diff-file.js'
import { run, scratch, start } from './command.js'

type Found = { cause: string; count: number; mismatch: string; subKind: string; columns: string[] }

describe('on the shop', () => {
  test('a correct V2: everything compared, nothing differs', async () => {
    const result = await demo('--faults', 'none')
    expect(result.compared).toBeGreaterThan(500)
    expect(result.findings.filter((finding: Found) => finding.mismatch !== 'LATENCY_SPIKE')).toEqual([])
    const diff = openDiff(result.files.diff)
    const { fidelity, audit } = diff.vouching()
    const tables = diff.state()?.tables ?? []
    diff.close()
    expect(fidelity?.compared).toBe(result.compared)
    expect(fidelity!.differ / fidelity!.compared).toBeLessThan(0.01)
    expect(audit).toMatchObject({ count: 0, hits: [] })
    expect(audit!.characters).toBeGreaterThan(100_000)
    expect(tables.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 12 }, () => 'equal'))
  })

  test('faults are found, each by its own cause', async () => {
    const { findings } = await demo('--faults', 'value-cut-short,wrong-time-zone,lost-unique')
    const causes = findings.map((finding: Found) => finding.cause)
    expect(causes).toContainEqual(expect.stringMatching(/payment_gateway is cut to 12 characters/))
    expect(causes).toContainEqual(expect.stringMatching(/created_at is .*2 hours later/))
    expect(findings.map((finding: Found) => finding.subKind)).toContain('error_vanished')
  })
})

test('Ctrl-C in the middle: exit 130, and every server it started is gone', async () => {
  const folder = scratch()
  chmodSync(folder, 0o755) // As root, the servers run as somebody else.
  const demo = start(['demo', '--out', join(folder, 'demo'), '--seconds', '60'], { TMPDIR: folder })
  await demo.said('snapshot: ')
  expect(serversUnder(folder).length).toBeGreaterThan(0)
  demo.child.kill('SIGINT')
  expect((await demo.ended).code).toBe(130)
  expect(serversUnder(folder)).toEqual([])
})

async function demo(...args: string[]) {
  const out = join(scratch(), 'demo')
  const ended = await run('demo', '--json', '--out', out, '--seconds', '4', '--sessions', '8', '--scale', '1', ...args)
  // A busy machine may make the measurement of time worthless (3); what was found stays true.
  expect([0, 3], ended.stderr).toContain(ended.code)
  const result = JSON.parse(ended.stdout)
  expect(readFileSync(result.files.page, 'utf8')).toContain('<!doctype html>')
  return result
}

/** Processes whose command line names something in this folder. */
function serversUnder(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return command.includes('postgres') && command.includes(folder) ? [command] : []
      } catch {
        return [] // It ended while we looked.
      }
    })
}
