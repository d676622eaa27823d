/**
 * Files that must survive a crash: written whole or not at all, with modes that keep others out.
 *
 * A file gets its final name only when every byte of it is on disk; a reader never meets a half-written one.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { EXIT, HarnessError } from '../base/errors.js'

const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

const HASH_CHUNK_BYTES = 1 << 20

export function sha256OfFile(path: string): string {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES)
  const file = openSync(path, 'r')
  try {
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) hash.update(chunk.subarray(0, read))
  } finally {
    closeSync(file)
  }
  return hash.digest('hex')
}

export function syncPath(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Gives a complete, closed file its final name, so that a crash leaves either the old state or the new one. */
export function publish(from: string, to: string): void {
  syncPath(from)
  renameSync(from, to)
  syncPath(dirname(to))
}

export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.tmp`
  const file = openSync(temporary, 'w', FILE_MODE)
  try {
    // Unlike writeSync, it does not stop half-way where the disk is nearly full.
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  syncPath(dirname(path))
}

/** Creates an empty file nobody else can read; SQLite gives its side files (-wal, -shm) the same mode. */
export function createPrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', FILE_MODE))
  chmodSync(path, FILE_MODE)
}

function isEmptyFolder(path: string): boolean {
  return statSync(path).isDirectory() && readdirSync(path).length === 0
}

function refuseExisting(path: string): never {
  throw new HarnessError({
    code: 'TARGET_EXISTS',
    message: `${path} already exists`,
    detail: 'pgrehearse does not overwrite what it or you made before.',
    hint: 'Choose another name with --out, or replace it with --force.',
    exit: EXIT.usage,
  })
}

/** Makes way for a new single-file target: refuses an existing one, or removes it (a folder never) when told to. */
export function claimFile(path: string, force: boolean): void {
  if (!existsSync(dirname(path)) || !statSync(dirname(path)).isDirectory()) {
    throw new HarnessError({
      code: 'TARGET_FOLDER_MISSING',
      message: `cannot write ${path}`,
      detail: `the folder ${dirname(path)} does not exist.`,
      hint: 'Create the folder first, or choose another place.',
      exit: EXIT.usage,
    })
  }
  if (existsSync(path)) {
    if (!force || statSync(path).isDirectory()) refuseExisting(path)
    rmSync(path)
  }
  for (const leftover of ['.spool', '.open', '.open-wal', '.open-shm', '.open-journal'])
    rmSync(path + leftover, { force: true })
}

/** Makes way for a new folder. --force removes only what is recognisably ours: a folder with the given marker file. */
export function claimFolder(path: string, marker: string, force: boolean): void {
  if (!existsSync(path) || isEmptyFolder(path)) return
  if (!force || !existsSync(join(path, marker))) refuseExisting(path)
  rmSync(path, { recursive: true })
}
