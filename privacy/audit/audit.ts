/**
 * Looking for leaks: does anything personal stand in the files of a recording, a snapshot, a run, a report?
 *
 * Two ways. Values known from the live database are looked for letter by letter: a hit is a leak. Detectors look for forms: an
 * e-mail address that is no token, a JWT or a key is a leak; numbers that look like phones, cards, IBANs and IPs are counted only, because
 * tokens look like that too. What is found is never shown in full.
 */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT, HarnessError } from '../../base/errors.js'
import { type Detector, detect } from '../detect.js'
import { isEmailToken, isNobodysAddress } from '../tokens/people.js'
import { textsOf } from './texts.js'
import { createValueSearch } from './values.js'

export type AuditHit = {
  readonly file: string
  readonly place: string
  readonly what: Detector | 'value'
  /** First and last letter, and how long it is. */
  readonly excerpt: string
}

export type AuditResult = {
  readonly files: number
  readonly characters: number
  /** The first of each file and kind; `count` has them all. */
  readonly hits: readonly AuditHit[]
  readonly count: number
  /** What only looks personal. */
  readonly lookalikes: Readonly<Partial<Record<Detector, number>>>
}

export type AuditSettings = {
  /** Personal values, from the live database; only in memory. */
  readonly values: Iterable<string>
  /** Numbers that look personal count as hits: for files that should hold no tokens either. */
  readonly strict: boolean
  readonly signal?: AbortSignal
  readonly onFile?: (file: string, done: number, total: number) => void
}

/** Detectors whose tokens can be told from real values. */
const SURE: ReadonlySet<Detector> = new Set(['email', 'jwt', 'key'])
const SHOWN_PER_KIND = 20

export async function audit(paths: readonly string[], settings: AuditSettings): Promise<AuditResult> {
  const files = paths.flatMap(filesUnder)
  const search = createValueSearch(settings.values)
  const hits = new Map<string, AuditHit[]>()
  const lookalikes: Partial<Record<Detector, number>> = {}
  let count = 0
  let characters = 0
  const hit = (file: string, place: string, what: AuditHit['what'], text: string): void => {
    count += 1
    const key = `${file} ${what}`
    const same = hits.get(key) ?? []
    hits.set(key, same)
    if (same.length < SHOWN_PER_KIND) same.push({ file, place, what, excerpt: excerpt(text) })
  }
  for (const [at, file] of files.entries()) {
    settings.onFile?.(file, at, files.length)
    for await (const { place, text, freshFrom, torn } of textsOf(file)) {
      settings.signal?.throwIfAborted()
      characters += text.length - freshFrom
      for (const { start, end } of search(text)) if (end > freshFrom) hit(file, place, 'value', text.slice(start, end))
      for (const { detector, start, end } of detect(text)) {
        const found = text.slice(start, end)
        if (end <= freshFrom) continue
        if (detector === 'email' && (isEmailToken(found) || (torn && isNobodysAddress(found)))) continue
        if (SURE.has(detector) || settings.strict) hit(file, place, detector, found)
        else lookalikes[detector] = (lookalikes[detector] ?? 0) + 1
      }
    }
  }
  return { files: files.length, characters, hits: [...hits.values()].flat(), count, lookalikes }
}

function excerpt(text: string): string {
  return `${text.slice(0, 1)}…${text.slice(-1)} (${text.length} characters)`
}

function filesUnder(path: string): readonly string[] {
  let entry: ReturnType<typeof lstatSync>
  try {
    entry = lstatSync(path)
  } catch (cause) {
    throw new HarnessError({
      code: 'AUDIT_NO_SUCH_PATH',
      message: `cannot look into ${path}`,
      detail: (cause as NodeJS.ErrnoException).code ?? 'unknown error',
      hint: 'Name a file or a folder: a recording, a snapshot, a run, a report.',
      exit: EXIT.usage,
      cause,
    })
  }
  if (entry.isFile()) return [path]
  return entry.isDirectory()
    ? readdirSync(path)
        .sort()
        .flatMap((name) => filesUnder(join(path, name)))
    : []
}
