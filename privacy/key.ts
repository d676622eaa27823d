/**
 * The secret key of the tokens: read from a variable, read from a file, or made on first use.
 *
 * Whoever has it can test guesses against tokens, so a key file that others may read is refused, and only a fingerprint of the
 * key ever stands in a recording.
 */
import { createHmac, randomBytes, scryptSync } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Brand } from '../base/brand.js'
import { EXIT, HarnessError } from '../base/errors.js'

/** 32 secret bytes. */
export type Key = Brand<Uint8Array, 'Key'>

export type KeySource = {
  /** What `PGREHEARSE_KEY` holds; wins over the file. */
  readonly value?: string | undefined
  /** Read when it exists, made when it does not. */
  readonly file?: string | undefined
}

export type FoundKey = { readonly key: Key; readonly from: 'variable' | 'file' | 'made' }

const PASSPHRASE_LENGTH_MIN = 16

export function loadKey(source: KeySource): FoundKey {
  if (source.value !== undefined && source.value !== '') return { key: readKey(source.value), from: 'variable' }
  if (source.file === undefined) {
    throw new HarnessError({
      code: 'KEY_MISSING',
      message: 'no key for the tokens',
      detail: 'neither PGREHEARSE_KEY nor a key file was given',
      hint: 'Set PGREHEARSE_KEY, or name a key file; it is made when it does not exist.',
      exit: EXIT.usage,
    })
  }
  return existingKey(source.file) ?? newKey(source.file)
}

/** 64 hex digits are the key itself; anything else of 16 characters or more is a passphrase that a key is derived from. */
export function readKey(value: string): Key {
  const text = value.trim()
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex') as Uint8Array as Key
  if (text.length < PASSPHRASE_LENGTH_MIN) {
    throw new HarnessError({
      code: 'KEY_TOO_SHORT',
      message: 'the key for the tokens is too short',
      detail: `a passphrase needs at least ${PASSPHRASE_LENGTH_MIN} characters, or the tokens could be guessed`,
      hint: 'Use 64 hex digits, for example from `openssl rand -hex 32`.',
      exit: EXIT.usage,
    })
  }
  return scryptSync(text, 'pgrehearse key', 32) as Uint8Array as Key
}

/** Names the key without revealing it: 16 hex digits. */
export function keyFingerprint(key: Key): string {
  return createHmac('sha256', key).update('pgrehearse key fingerprint').digest('hex').slice(0, 16)
}

function existingKey(file: string): FoundKey | null {
  let mode: number
  try {
    mode = statSync(file).mode
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw unreadable(file, error)
  }
  if ((mode & 0o077) !== 0) {
    throw new HarnessError({
      code: 'KEY_FILE_OPEN',
      message: `others may read the key file ${file}`,
      detail: `its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}, and whoever reads the key can test guesses against tokens`,
      hint: `Run \`chmod 600 ${file}\`, and make a new key if it may have been read.`,
      exit: EXIT.usage,
    })
  }
  try {
    return { key: readKey(readFileSync(file, 'utf8')), from: 'file' }
  } catch (error) {
    throw error instanceof HarnessError ? error : unreadable(file, error)
  }
}

function newKey(file: string): FoundKey {
  const bytes = randomBytes(32)
  try {
    // `wx`: two recorders that start together must not each make a key and then disagree.
    writeFileSync(file, `${bytes.toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const raced = (error as NodeJS.ErrnoException).code === 'EEXIST' ? existingKey(file) : null
    if (raced !== null) return raced
    throw unreadable(file, error)
  }
  return { key: bytes as Uint8Array as Key, from: 'made' }
}

function unreadable(file: string, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'KEY_FILE_UNUSABLE',
    message: `cannot use the key file ${file}`,
    detail: cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : 'unknown reason',
    hint: 'Check that the folder exists and that this user may read and write there.',
    exit: EXIT.environment,
    cause,
  })
}
