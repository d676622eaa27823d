/**
 * The baseline and its noise run are made once and used again for as long as nothing that they rest on is another: each part of their key, and
 * what is no part of it.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { RunConfig } from '../../cli/run/config.js'
import { changedParts, type Keyed, keysOf } from '../../cli/run/keys.js'
import { scratch } from './command.js'

const CONFIG: RunConfig = {
  recording: 'recording',
  snapshot: 'snapshot',
  out: 'rehearsal',
  v1: { migrate: ['v1.sql'], server: 'embedded' },
  v2: { migrate: ['v2.sql'], server: 'embedded', mapping: 'mapping.yaml' },
  noise: true,
  fidelity: true,
  audit: true,
  restore: {},
  baseline: { speed: 'max', workers: 2 },
  candidate: { speed: 'max', workers: 2 },
  compare: {},
  verify: {},
  report: {},
}

let folder: string
beforeEach(() => {
  folder = scratch()
  const files = {
    'recording/manifest.json': '{"policyHash":"a"}',
    'recording/segments/1.sqlite': 'sealed',
    'snapshot/snapshot.json': '{"policyHash":"a","files":{}}',
    'v1.sql': 'SELECT 1',
    'v2.sql': 'SELECT 2',
    'mapping.yaml': 'version: 1',
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
})

const write = (path: string, text: string) => () => writeFileSync(join(folder, path), text)

type Change = {
  readonly name: string
  readonly config?: Partial<RunConfig>
  readonly file?: () => void
  readonly version?: string
}

function keysAround({ config = {}, file = () => {}, version = '1' }: Change) {
  const before = keysOf(CONFIG, folder, '1')
  file()
  return { before, after: keysOf({ ...CONFIG, ...config }, folder, version) }
}

/** Of the golden as well, whose key stands for its parts. */
function why(before: { golden: Keyed; baseline: Keyed }, after: typeof before): string[] {
  return [
    ...changedParts(before.golden.parts, after.golden.parts),
    ...changedParts(before.baseline.parts, after.baseline.parts).filter((name) => name !== 'the golden of V1'),
  ].filter((name, at, all) => all.indexOf(name) === at)
}

describe('a baseline is made anew', () => {
  test.each<Change & { readonly says: string }>([
    {
      name: 'another recording',
      file: write('recording/manifest.json', '{"policyHash":"a","id":2}'),
      says: 'the recording',
    },
    {
      name: 'a recording that has grown',
      file: () => appendFileSync(join(folder, 'recording/segments/1.sqlite'), ' and more'),
      says: 'the recording',
    },
    { name: 'a segment more', file: write('recording/segments/2.sqlite', ''), says: 'the recording' },
    {
      name: 'another snapshot',
      file: write('snapshot/snapshot.json', '{"policyHash":"a","files":{"t":1}}'),
      says: 'the snapshot',
    },
    {
      name: 'another policy, by which the snapshot was masked',
      file: write('snapshot/snapshot.json', '{"policyHash":"b","files":{}}'),
      says: 'the snapshot',
    },
    {
      name: 'another policy, by which the recording was masked',
      file: write('recording/manifest.json', '{"policyHash":"b"}'),
      says: 'the recording',
    },
    { name: 'another migration of V1', file: write('v1.sql', 'SELECT 3'), says: 'the migration of V1' },
    {
      name: 'a setting of its replay',
      config: { baseline: { speed: 'max', workers: 3 } },
      says: 'settings of the replay',
    },
    { name: 'a setting more', config: { baseline: { ...CONFIG.baseline, think: 1 } }, says: 'settings of the replay' },
    {
      name: 'another server',
      config: { v1: { ...CONFIG.v1, server: 'postgres://db.example/postgres' } },
      says: 'the server',
    },
    { name: 'another build of the server', config: { serverBin: '/opt/pg17/bin' }, says: 'the server' },
    { name: 'another version of pgrehearse', version: '2', says: 'the version of pgrehearse' },
    { name: 'another folder of results', config: { out: 'elsewhere' }, says: 'the folder' },
  ])('for $name', (change) => {
    const { before, after } = keysAround(change)
    expect(after.baseline.key).not.toBe(before.baseline.key)
    // The noise run is the baseline once more, so it goes with it.
    expect(after.noise.key).not.toBe(before.noise.key)
    const sides = (keys: typeof before) => ({ golden: keys['golden V1'], baseline: keys.baseline })
    expect(why(sides(before), sides(after))).toEqual([change.says])
  })
})

describe('a baseline is used again', () => {
  test.each<Change>([
    { name: 'when nothing changed' },
    { name: 'whatever V2 became', file: write('v2.sql', 'SELECT 4') },
    { name: 'whatever the mapping says', file: write('mapping.yaml', 'version: 1 # other') },
    { name: 'whatever the candidate is replayed with', config: { candidate: { speed: 'max', workers: 9 } } },
    { name: 'whatever is compared', config: { compare: { ignore: 'a.b' }, verify: null, report: { title: 'x' } } },
    { name: 'whatever else is in the snapshot’s folder', file: write('snapshot/notes.txt', 'x') },
    { name: 'with its settings in another order', config: { baseline: { workers: 2, speed: 'max' } } },
    { name: 'with other checks around it', config: { fidelity: false, audit: false } },
  ])('$name', (change) => {
    const { before, after } = keysAround(change)
    expect(after.baseline).toEqual(before.baseline)
    expect(after.noise).toEqual(before.noise)
  })

  test('with another password for the same server', () => {
    const at = (password: string) =>
      keysOf({ ...CONFIG, v1: { ...CONFIG.v1, server: `postgres://me:${password}@db.example/postgres` } }, folder, '1')
    expect(at('new').baseline).toEqual(at('old').baseline)
  })

  test('by the comparison, which is made anew where the noise run is not wanted any more', () => {
    const { before, after } = keysAround({ name: '', config: { noise: false } })
    expect(after.baseline).toEqual(before.baseline)
    expect(after.compare.key).not.toBe(before.compare.key)
  })
})
