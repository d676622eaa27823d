/** What workers hand over is read back whole and in order, also when the file was cut short. */
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Spool } from '../../segment/spool.js'

const folder = mkdtempSync(join(tmpdir(), 'pgr-spool-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let made = 0
function spoolOf(buffers: readonly Uint8Array[]): { path: string; spool: Spool } {
  const path = join(folder, `${made++}.spool`)
  const spool = new Spool(path)
  for (const bytes of buffers) spool.append(bytes.slice().buffer)
  return { path, spool }
}
const bytesOf = (spool: Spool) => [...spool.buffers()].map((buffer) => [...new Uint8Array(buffer)])

test('whatever is appended is read back, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (buffers) => {
      const { spool } = spoolOf(buffers)
      expect(bytesOf(spool)).toEqual(buffers.map((bytes) => [...bytes]))
      spool.remove()
    }),
  )
})

test('cut anywhere, it gives the buffers that are whole', () => {
  const buffers = [Uint8Array.of(1, 2, 3), Uint8Array.of(), Uint8Array.of(4, 5)]
  const ends = [7, 11, 17]
  for (let size = 0; size <= 17; size++) {
    const { path, spool } = spoolOf(buffers)
    truncateSync(path, size)
    expect(bytesOf(spool)).toHaveLength(ends.filter((end) => end <= size).length)
    spool.remove()
  }
})

test('nobody else can read it, and nothing of it is left', () => {
  const { path, spool } = spoolOf([Uint8Array.of(1)])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  spool.remove()
  expect(existsSync(path)).toBe(false)
})
