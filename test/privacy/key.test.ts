import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyFingerprint, loadKey, readKey } from '../../privacy/key.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-key-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('a key file', () => {
  test('is made on first use, for its owner only, and read afterwards', () => {
    const file = join(folder, 'key')
    const made = loadKey({ file })
    expect(made.from).toBe('made')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
    const read = loadKey({ file })
    expect(read.from).toBe('file')
    expect(keyFingerprint(read.key)).toBe(keyFingerprint(made.key))
  })
  test('that others may read is refused', () => {
    const file = join(folder, 'key')
    writeFileSync(file, 'ab'.repeat(32))
    chmodSync(file, 0o640)
    expect(() => loadKey({ file })).toThrow(expect.objectContaining({ code: 'KEY_FILE_OPEN', exit: 2 }))
  })
  test('in no folder is refused with the reason', () =>
    expect(() => loadKey({ file: join(folder, 'none', 'key') })).toThrow(
      expect.objectContaining({ code: 'KEY_FILE_UNUSABLE', detail: 'ENOENT' }),
    ))
})

describe('a key from a variable', () => {
  test('wins over a file', () => {
    const found = loadKey({ value: 'cd'.repeat(32), file: join(folder, 'key') })
    expect(found.from).toBe('variable')
    expect(Buffer.from(found.key).toString('hex')).toBe('cd'.repeat(32))
  })
  test('may be a passphrase', () => expect(readKey('correct horse battery staple')).toHaveLength(32))
  test('that is short is refused, and not repeated in the message', () => {
    const error = caught(() => readKey('hunter2'))
    expect(error).toMatchObject({ code: 'KEY_TOO_SHORT' })
    expect(JSON.stringify({ ...error, message: error.message })).not.toContain('hunter2')
  })
  test('is asked for when there is none', () =>
    expect(() => loadKey({ value: '' })).toThrow(expect.objectContaining({ code: 'KEY_MISSING' })))
})

test('the fingerprint names a key without holding it', () => {
  const key = readKey('ab'.repeat(32))
  expect(keyFingerprint(key)).toMatch(/^[0-9a-f]{16}$/)
  expect(keyFingerprint(key)).not.toBe(keyFingerprint(readKey('ac'.repeat(32))))
  expect('ab'.repeat(32)).not.toContain(keyFingerprint(key))
})

function caught(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
