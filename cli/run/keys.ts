/**
 * What each step of a rehearsal depends on, as hashes with names: two steps with the same key make the same thing, and where keys
 * differ, the names say why.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { parse } from 'yaml'
import { sha256OfFile } from '../../segment/files.js'
import type { RunConfig, Section } from './config.js'

/** By a name for people: `the migration of V2`. */
export type Parts = Readonly<Record<string, string>>
export type Keyed = { readonly key: string; readonly parts: Parts }

export type StepName =
  | 'golden V1'
  | 'golden V2'
  | 'baseline'
  | 'noise'
  | 'candidate'
  | 'fidelity'
  | 'compare'
  | 'verify'
  | 'audit'
export type Keys = Readonly<Record<StepName, Keyed>>

const KEY_CHARACTERS = 12

/** `folder`: of the file, which its paths start from. */
export function keysOf(config: RunConfig, folder: string, version: string): Keys {
  const path = (name: string) => resolve(folder, name)
  const base = { 'the version of pgrehearse': version }
  const restored = (side: 'V1' | 'V2', { server, migrate }: RunConfig['v1']) =>
    keyed({
      ...base,
      'the snapshot': hashOfFile(join(path(config.snapshot), 'snapshot.json')),
      [`the migration of ${side}`]: hash(migrate.map((one) => hashOfMigration(folder, one))),
      'the server': hash([server.replace(/\/\/[^@/]*@/, '//'), config.serverBin ?? '']),
    })
  const v1 = restored('V1', config.v1)
  const v2 = restored('V2', config.v2)
  const replayed = (golden: Keyed, side: string, section: Section, mapping: string | undefined) =>
    keyed({
      ...base,
      'the recording': hashOfRecording(path(config.recording)),
      [`the golden of ${side}`]: golden.key,
      'settings of the replay': hashOfSection(section),
      ...(mapping === undefined ? {} : { 'the mapping': hashOfMapping(path(mapping)) }),
      // Another folder of results has shadows of its own.
      'the folder': hash([path(config.out)]),
    })
  const baseline = replayed(v1, 'V1', config.baseline, undefined)
  const candidate = replayed(v2, 'V2', config.candidate, config.v2.mapping)
  const noise = keyed({ ...baseline.parts, 'the noise run': config.noise ? 'wanted' : 'not wanted' })
  const fidelity = keyed({
    ...base,
    'the baseline': baseline.key,
    'settings of compare': hashOfSection(config.compare),
  })
  const compare = keyed({
    ...base,
    'the baseline': baseline.key,
    'the fidelity': config.fidelity ? fidelity.key : 'not wanted',
    'the noise run': noise.key,
    'the candidate': candidate.key,
    'settings of compare': hashOfSection(config.compare),
  })
  const verify = keyed({
    'the comparison': compare.key,
    'settings of verify': hashOfSection(config.verify ?? {}),
  })
  const audit = keyed({ 'the comparison': compare.key })
  return { 'golden V1': v1, 'golden V2': v2, baseline, noise, candidate, fidelity, compare, verify, audit }
}

/** Names of the parts that are not what they were. */
export function changedParts(before: Parts, now: Parts): string[] {
  return [...new Set([...Object.keys(now), ...Object.keys(before)])].filter((name) => before[name] !== now[name])
}

function keyed(parts: Parts): Keyed {
  const sorted = Object.entries(parts).sort(([a], [b]) => (a < b ? -1 : 1))
  return { key: hash(sorted).slice(0, KEY_CHARACTERS), parts }
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}

/** In any order: a file that was only put in order is the same file. */
function hashOfSection(section: Section): string {
  return hash(Object.entries(section).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What is missing is said by the step that needs it. */
function hashOfFile(path: string): string {
  return existsSync(path) && statSync(path).isFile() ? sha256OfFile(path) : 'absent'
}

/** The manifest holds a checksum of every sealed segment; a tail that is not sealed may still grow. */
function hashOfRecording(path: string): string {
  const segments = join(path, 'segments')
  const files = existsSync(segments)
    ? readdirSync(segments)
        .sort()
        .map((name) => [name, statSync(join(segments, name)).size])
    : []
  return hash([hashOfFile(join(path, 'manifest.json')), files])
}

/** A file or all files of a folder; a command is what it says, for what it does cannot be known. */
function hashOfMigration(folder: string, text: string): string {
  const path = resolve(folder, text)
  if (!existsSync(path)) return hash(['command', text])
  if (statSync(path).isFile()) return hash([text, sha256OfFile(path)])
  return hash(filesUnder(path).map((file) => [relative(path, file), sha256OfFile(file)]))
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? filesUnder(path) : entry.isFile() ? [path] : []
    })
}

/** With the hook it names. What the hook imports in turn is not followed. */
function hashOfMapping(path: string): string {
  if (!existsSync(path)) return 'absent'
  const text = readFileSync(path, 'utf8')
  return hash([text, hookOf(text, path)])
}

function hookOf(text: string, path: string): string {
  try {
    const { hook } = (parse(text) ?? {}) as { hook?: unknown }
    if (typeof hook !== 'string') return 'none'
    return hashOfFile(isAbsolute(hook) ? hook : join(dirname(path), hook))
  } catch {
    // The step that reads it says what is wrong with it.
    return 'unreadable'
  }
}
