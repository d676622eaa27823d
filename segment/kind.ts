/**
 * Which of our formats is at a path? Answered from a folder's manifest or a file's header, without opening a database.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../base/errors.js'
import { DIFF } from './diff-file.js'
import { MANIFEST_FILE } from './manifest-file.js'
import { RUN } from './run-file.js'
import { SEGMENT } from './segment-schema.js'

export type FormatKind = 'recording' | 'segment' | 'run' | 'diff'

/** SQLite keeps the application's number here. */
const APPLICATION_ID_AT = 68
const HEADER_BYTES = 100

export function kindOf(path: string): FormatKind {
  if (!existsSync(path)) {
    throw new HarnessError({
      code: 'NOTHING_THERE',
      message: `there is nothing at ${path}`,
      hint: 'Check the path.',
      exit: EXIT.usage,
    })
  }
  if (statSync(path).isDirectory() && existsSync(join(path, MANIFEST_FILE))) return 'recording'
  const id = statSync(path).isFile() ? applicationId(path) : 0
  for (const kind of [SEGMENT, RUN, DIFF]) if (kind.applicationId === id) return kind.noun
  throw new HarnessError({
    code: 'NOT_OURS',
    message: `${path} is not a recording, run or diff`,
    detail: 'a recording is a folder with a manifest.json; runs and diffs are SQLite files that pgrehearse wrote.',
    hint: 'Check the path.',
    exit: EXIT.usage,
  })
}

function applicationId(path: string): number {
  const header = Buffer.alloc(HEADER_BYTES)
  const file = openSync(path, 'r')
  try {
    if (readSync(file, header) < HEADER_BYTES) return 0
  } finally {
    closeSync(file)
  }
  return header.toString('latin1', 0, 15) === 'SQLite format 3' ? header.readUInt32BE(APPLICATION_ID_AT) : 0
}
