/** Where a command's answer goes may be gone, or full. */

import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { start } from './command.js'

const released = (name: string) => fileURLToPath(new URL(`../../fixtures/segments/${name}`, import.meta.url))

describe('a reader that has seen enough', () => {
  test.each([
    { name: 'words', args: ['inspect', released('recording-1')], code: 0 },
    { name: 'one object', args: ['inspect', released('recording-1'), '--json'], code: 0 },
    { name: 'a gate that fails keeps its exit code', args: ['gate', released('diff-1.sqlite')], code: null },
    { name: 'a refusal keeps its exit code', args: ['inspect', released('absent'), '--json'], code: 2 },
  ])('$name', async ({ args, code }) => {
    const whole = await start(args).ended
    const { child, ended } = start(args)
    child.stdout?.destroy()
    const left = await ended
    expect(left).toMatchObject({ code: code ?? whole.code, stdout: '' })
    expect(left.stderr).toBe(whole.stderr)
    if (code === null) expect([1, 3]).toContain(left.code)
  })

  test('nor does it matter when nobody reads the errors', async () => {
    const { child, ended } = start(['inspect', released('absent')])
    child.stderr?.destroy()
    expect((await ended).code).toBe(2)
  })
})

test.runIf(process.platform === 'linux')('a full disk is said, and is exit code 4', async () => {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'inspect', released('recording-1')], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect(code).toBe(4)
  expect(said).toMatch(/STDOUT_UNWRITABLE[\s\S]+ENOSPC/)
})
