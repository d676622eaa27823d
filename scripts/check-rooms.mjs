/**
 * The house rules, checked: which room may import which. Arrows point down; nobody imports cli/.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const MAY_IMPORT = {
  base: [],
  segment: ['base'],
  wire: ['base'],
  sql: ['base', 'segment'],
  privacy: ['base', 'segment', 'sql'],
  recorder: ['base', 'segment', 'wire', 'sql', 'privacy'],
  replayer: ['base', 'segment', 'wire', 'sql', 'privacy'],
  reports: ['base', 'segment', 'sql'],
  fixtures: ['base'],
  cli: ['base', 'segment', 'wire', 'sql', 'privacy', 'recorder', 'replayer', 'reports', 'fixtures'],
  bench: ['base', 'segment', 'wire', 'sql', 'privacy', 'recorder', 'replayer', 'reports', 'fixtures', 'cli'],
}

/** The hot path knows bytes and a ring: no files, no database, no parser. */
const HOT_PATH = /^recorder\/tap\//
const HOT_PATH_FORBIDS = /^(node:fs|better-sqlite3|pg|libpg-query|@faker-js\/faker)/
/** Between a client and its answer nobody waits; only who begins to listen does. */
const HOT_PATH_WAITS = /\b(await|async|Promise)\b/
const HOT_PATH_MAY_WAIT = 'recorder/tap/listener.ts'
/** Of a socket's descriptor: one system call. */
const HOT_PATH_ALLOWS = "import { writeSync } from 'node:fs'"

const faults = []
for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
  for (const file of sources(join(root, room))) {
    const path = relative(root, file)
    const text = readFileSync(file, 'utf8').replace(HOT_PATH_ALLOWS, '')
    for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      if (HOT_PATH.test(path) && HOT_PATH_FORBIDS.test(target))
        faults.push(`${path}: the hot path may not import ${target}`)
      if (!target.startsWith('.')) continue
      const other = normalize(join(dirname(path), target)).split('/')[0]
      if (other !== room && !allowed.includes(other)) faults.push(`${path}: ${room}/ may not import ${other}/`)
    }
    if (HOT_PATH.test(path) && path !== HOT_PATH_MAY_WAIT && HOT_PATH_WAITS.test(text))
      faults.push(`${path}: the hot path waits for nothing`)
    if (room !== 'cli' && room !== 'bench' && /\bprocess\.(exit|argv)\b/.test(text))
      faults.push(`${path}: only cli/ reads argv or exits`)
  }
}
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0

function* sources(folder) {
  let entries = []
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return
  }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* sources(path)
    else if (/\.(ts|mjs)$/.test(entry.name)) yield path
  }
}
