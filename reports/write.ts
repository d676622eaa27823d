/**
 * The files of a report. All targets are checked before anything is written, nothing is overwritten unasked, and a file
 * gets its name only when it is complete.
 */
import { closeSync, existsSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { EXIT, HarnessError } from '../base/errors.js'
import { toJunit } from './junit.js'
import { toMarkdown } from './markdown.js'
import type { ReportModel } from './model.js'
import { renderPage } from './page/page.js'
import { toPrometheus } from './prometheus.js'
import type { DiffSource } from './source.js'
import { csvLines } from './table.js'

const OUTPUTS = ['html', 'junit', 'json', 'markdown', 'prometheus', 'csv'] as const
type Output = (typeof OUTPUTS)[number]
export type Targets = Readonly<Partial<Record<Output, string>>>

export type WrittenFile = { readonly kind: Output; readonly path: string; readonly bytes: number }

export function writeReport(
  model: ReportModel,
  source: DiffSource,
  targets: Targets,
  options: { readonly force: boolean },
): WrittenFile[] {
  checkTargets(targets, options)
  return wanted(targets).map(([kind, path]) => ({ kind, path, bytes: writeWhole(path, contents(kind, model, source)) }))
}

/** Callable early, before an expensive model is made. */
export function checkTargets(targets: Targets, { force }: { readonly force: boolean }): void {
  const seen = new Map<string, Output>()
  for (const [kind, path] of wanted(targets)) {
    const full = resolve(path)
    const other = seen.get(full)
    if (other) throw refusal('TARGET_TWICE', path, `--${other} and --${kind} name the same file.`, 'Give each its own.')
    seen.set(full, kind)
    if (!existsSync(dirname(full)) || !statSync(dirname(full)).isDirectory()) {
      const why = `the folder ${dirname(full)} does not exist.`
      throw refusal('TARGET_FOLDER_MISSING', path, why, 'Create the folder first, or choose another place.')
    }
    if (!existsSync(full)) continue
    if (statSync(full).isDirectory()) {
      throw refusal('TARGET_EXISTS', path, 'it is a folder.', 'Name a file.')
    }
    if (!force) {
      const why = 'it exists, and pgrehearse does not overwrite what it or you made before.'
      throw refusal('TARGET_EXISTS', path, why, 'Choose another name, or replace it with --force.')
    }
  }
}

function wanted(targets: Targets): [Output, string][] {
  return OUTPUTS.flatMap((kind): [Output, string][] => {
    const path = targets[kind]
    return path === undefined ? [] : [[kind, path]]
  })
}

function refusal(code: string, path: string, detail: string, hint: string): HarnessError {
  return new HarnessError({ code, message: `cannot write ${path}`, detail, hint, exit: EXIT.usage })
}

function contents(kind: Output, model: ReportModel, source: DiffSource): Iterable<string> {
  switch (kind) {
    case 'html':
      return renderPage(model, (findingId) => source.discrepancies({ findingId }))
    case 'junit':
      return [toJunit(model)]
    case 'json':
      return [`${JSON.stringify(model, null, 2)}\n`]
    case 'markdown':
      return [toMarkdown(model)]
    case 'prometheus':
      return [toPrometheus(model)]
    case 'csv':
      return csvLines(source.discrepancies())
  }
}

const BATCH_CHARACTERS = 1 << 20

function writeWhole(path: string, pieces: Iterable<string>): number {
  const full = resolve(path)
  let folder: string | null = null
  try {
    folder = mkdtempSync(join(dirname(full), '.pgrehearse-'))
    const temporary = join(folder, basename(full))
    const bytes = writeAll(temporary, pieces)
    renameSync(temporary, full)
    return bytes
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (error instanceof HarnessError || code === undefined) throw error
    throw new HarnessError({
      code: 'TARGET_UNWRITABLE',
      message: `cannot write ${path}`,
      detail: `the system says ${code}.`,
      hint: 'Check the permissions of the folder and the space that is left.',
      exit: EXIT.environment,
      cause: error,
    })
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true })
  }
}

function writeAll(path: string, pieces: Iterable<string>): number {
  const file = openSync(path, 'wx')
  let bytes = 0
  let batch = ''
  const flush = () => {
    const buffer = Buffer.from(batch)
    for (let at = 0; at < buffer.length; ) at += writeSync(file, buffer, at)
    bytes += buffer.length
    batch = ''
  }
  try {
    for (const piece of pieces) {
      batch += piece
      if (batch.length >= BATCH_CHARACTERS) flush()
    }
    flush()
    return bytes
  } finally {
    closeSync(file)
  }
}
