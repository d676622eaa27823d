import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEFAULT_GATE } from '../../reports/gate-config.js'
import { toJunit } from '../../reports/junit.js'
import { toMarkdown } from '../../reports/markdown.js'
import type { ReportModel } from '../../reports/model.js'
import { toPrometheus } from '../../reports/prometheus.js'
import { CSV_COLUMNS, csvLines, findingsTable } from '../../reports/table.js'
import { writeReport } from '../../reports/write.js'
import { modelOf } from './build.js'
import { fingerprintOf, sample } from './sample.js'

const source = sample({ kind: 'FAIL', discrepancies: 200, queryShapes: 10 })
const model = modelOf(source)

/** The same model with one captured text in every place that has one. */
function hostile(text: string): ReportModel {
  return {
    ...model,
    headline: text,
    before: { ...model.before, target: text },
    after: { ...model.after, target: text },
    state: {
      ...model.state!,
      tables: model.state!.tables.map((table) => ({ ...table, table: text, columnsLeftOut: [text] })),
      findings: model.state!.findings.map((finding) => ({ ...finding, object: text, sentence: text })),
      notCompared: [text],
    },
    uncompared: { [text]: 3 },
    excused: { [text]: 3 },
    findings: model.findings.map((finding) => ({
      ...finding,
      cause: text,
      columns: [text],
      examples: finding.examples.map((example) => ({ ...example, sql: text })),
    })),
    latency: { ...model.latency, queries: model.latency.queries.map((query) => ({ ...query, sql: text })) },
  }
}

describe('JUnit', () => {
  const cases = (xml: string) => [...xml.matchAll(/<testcase classname="query"[^>]*>/g)]

  test('a case per query shape; what failed the gate fails here', () => {
    const xml = toJunit(model)
    const shapes = new Set([
      ...model.latency.queries.map((query) => query.fingerprint),
      ...model.findings.flatMap((finding) => finding.fingerprints),
    ])
    expect(cases(xml)).toHaveLength(shapes.size)
    const email = xml.slice(xml.indexOf(`name="${model.findings[2]?.fingerprints[0]}`))
    expect(email.slice(0, email.indexOf('</testcase>'))).toContain('Different answer: email is cut to 32 characters')
  })

  test('counts in the suite are those of its cases', () => {
    const [, tests, failures] = toJunit(model).match(/query shapes" [^>]*tests="(\d+)" failures="(\d+)"/) ?? []
    expect(Number(tests)).toBe(cases(toJunit(model)).length)
    const failing = new Set(model.findings.flatMap((finding) => finding.fingerprints))
    expect(Number(failures)).toBe(failing.size)
  })

  test('a case per table; one that holds something else fails', () => {
    const xml = toJunit(model)
    expect(xml).toMatch(/<testsuite name="pgrehearse table state" [^>]*tests="6" failures="2"/)
    expect(xml).toMatch(/<testcase classname="state" name="users"[^>]*>\s*<failure message="after the replay, in users/)
    expect(xml).toMatch(/<testcase classname="gate.state" name="Tables that hold something else"[^>]*>\s*<failure /)
  })

  test('what cannot be vouched for is an error, not a failure', () => {
    const xml = toJunit(modelOf(sample({ kind: 'INVALID' })))
    expect(xml).toMatch(/<testcase classname="gate\.trust"[^>]*>\s*<error /)
  })

  test('a known difference passes and is said', () => {
    const overrides = [
      {
        query: fingerprintOf('SELECT product_id, name FROM products WHERE tenant_id = $1 ORDER BY name'),
        allow: ['order'] as const,
        latency: {},
        until: '2027-01-31',
        reason: 'agreed',
      },
    ]
    const xml = toJunit(modelOf(source, { ...DEFAULT_GATE, overrides }))
    expect(xml).toContain('<system-out>known until 2027-01-31 (agreed): Different answer')
  })

  test('a failure has what its reader needs: the reason, the statement, the command that shows it', () => {
    const { fingerprint, alertId, sql } = model.findings[2]!.examples[0]!
    const xml = toJunit(model)
    const of = xml.slice(xml.indexOf(`name="${fingerprint}`))
    const [, text = ''] = /<failure [^>]*>([^<]*)<\/failure>/.exec(of) ?? []
    expect(text.split('\n')).toEqual([
      expect.stringContaining('email is cut to 32 characters'),
      '',
      sql,
      '',
      `pgrehearse reproduce out/shop.diff ${alertId}`,
    ])
  })

  test('stays well-formed whatever was captured', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const xml = toJunit(hostile(text))
        // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are forbidden in XML
        expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff]/u)
        const tags = xml.replace(/<(\/?)[a-z-]+( [a-z]+="[^"<>]*")*\/?>|<\?xml[^>]*\?>/g, '')
        expect(tags).not.toMatch(/[<>]/)
        expect(tags.replace(/&(amp|lt|gt|quot|apos);/g, '')).not.toContain('&')
      }),
      { numRuns: 50 },
    )
  })
})

describe('the comment', () => {
  test('is short, and says verdict, causes and what was not compared', () => {
    const text = toMarkdown(model)
    expect(text).toMatch(/^### pgrehearse: FAIL\n/)
    expect(text).toContain('email is cut to 32 characters')
    expect(text).toContain('Not compared: 190 statements (149 session lost; 41 unreplayable')
    expect(text).toContain('Fidelity: 99.88% answered on V1 as in production.')
    expect(text).toContain('**1 personal value found** in what was written')
    expect(text.length).toBeLessThan(3_500)
  })

  test('of an INVALID says why, before anything about V2', () => {
    const invalid = modelOf(sample({ kind: 'INVALID' }))
    const text = toMarkdown(invalid)
    const why = text.indexOf('- The connection to the candidate was lost')
    expect(why).toBeGreaterThan(0)
    expect(text.indexOf('What differed, not to be read as facts yet:')).toBeGreaterThan(why)
  })

  test('what was not judged is not said to hold', () => {
    const text = toMarkdown(modelOf({ ...sample({ kind: 'PASS' }), state: () => null }))
    expect(text).toMatch(/All \d+ checks that could be judged hold\. Not judged: Tables that hold something else; /)
    expect(toMarkdown(modelOf(sample({ kind: 'PASS' })))).toMatch(/All \d+ checks of the gate hold\./)
  })

  test('a share that is hardly any begins no element', () => {
    const findings = model.findings.map((finding) => ({ ...finding, trafficShare: 0.000_01 }))
    const text = toMarkdown({ ...model, findings })
    expect(text).toContain('&lt; 0.01%')
    expect(text).not.toContain('< 0')
  })

  test.each([
    ['a pipe', 'a | b', 'a \\| b'],
    ['a new line', 'a\nb', 'a b'],
    ['a mention', '@everyone', '@\u200beveryone'],
    ['a link', '[x](http://evil.example)', '\\[x\\]\\(http:\u200b//evil.example\\)'],
    ['an element', '<img src=x>', '&lt;img src=x&gt;'],
    ['code', '`rm -rf`', '\\`rm -rf\\`'],
  ])('%s is inert', (_, text, shown) => {
    expect(toMarkdown(hostile(text))).toContain(shown)
  })
})

describe('metrics', () => {
  test('every line is a comment or a sample', () => {
    for (const text of [toPrometheus(model), toPrometheus(hostile('a"b\\c\nd'))]) {
      for (const line of text.trimEnd().split('\n')) {
        expect(line).toMatch(
          /^(# (HELP|TYPE) pgrehearse_\w+ .+|pgrehearse_\w+(\{(\w+="([^"\\]|\\["\\n])*",?)*\})? -?\d[\d.e+-]*)$/,
        )
      }
      expect(text.endsWith('\n')).toBe(true)
    }
  })

  test('say how near the replay is to production, and whether anything personal was found, where that is known', () => {
    const text = toPrometheus(model)
    expect(text).toContain('pgrehearse_fidelity_ratio 0.998')
    const statements = [...text.matchAll(/pgrehearse_fidelity_statements\{outcome="\w+"\} (\d+)/g)]
    expect(statements.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(model.vouching!.fidelity!.compared)
    expect(text).toContain('pgrehearse_personal_values_found 1\n')
    const unknown = toPrometheus({ ...model, vouching: { fidelity: null, audit: null } })
    expect(unknown).not.toMatch(/fidelity_ratio|fidelity_statements|personal/)
  })

  test('say the verdict', () => {
    expect(toPrometheus(model)).toContain('pgrehearse_verdict{verdict="FAIL"} 1\n')
  })
})

describe('tables', () => {
  test('CSV has the columns of the discrepancy table and every discrepancy', () => {
    const lines = [...csvLines(source.discrepancies())]
    expect(lines[0]).toBe(`${CSV_COLUMNS.join(',')}\r\n`)
    expect(lines).toHaveLength(1 + model.findings.reduce((sum, finding) => sum + finding.count, 0))
  })

  test('a cell may hold quotes, commas and lines', () => {
    const [first] = source.discrepancies()
    const lines = [...csvLines(first ? [{ ...first, sql: 'SELECT "a", \'b\'\nFROM t' }] : [])]
    expect(lines[1]).toContain('"SELECT ""a"", \'b\'\nFROM t"')
  })

  test('captured text cannot steer the terminal', () => {
    const text = findingsTable(hostile('\u001b[2Jgone'), { columns: 100, color: false, rowsMax: 20 })
    expect(text).toContain('<U+001B>[2Jgone')
    expect(text).not.toContain('\u001b')
  })

  test('long lists end with how many there are more', () => {
    expect(findingsTable(model, { columns: 100, color: false, rowsMax: 3 })).toMatch(/and 5 more$/)
  })
})

describe('files', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgrehearse-reports-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('each is named with its size, and nothing else is left behind', () => {
    const targets = { html: join(folder, 'r.html'), json: join(folder, 'r.json'), csv: join(folder, 'r.csv') }
    const written = writeReport(model, source, targets, { force: false })
    expect(written.map((file) => file.kind)).toEqual(['html', 'json', 'csv'])
    expect(readdirSync(folder).sort()).toEqual(['r.csv', 'r.html', 'r.json'])
    expect(JSON.parse(readFileSync(targets.json, 'utf8'))).toEqual(model)
  })

  test('an existing file is refused before anything is written, and replaced when told to', () => {
    const kept = join(folder, 'kept.md')
    writeFileSync(kept, 'mine')
    const targets = { junit: join(folder, 'new.xml'), markdown: kept }
    expect(() => writeReport(model, source, targets, { force: false })).toThrow(/cannot write/)
    expect(readFileSync(kept, 'utf8')).toBe('mine')
    expect(readdirSync(folder)).not.toContain('new.xml')
    writeReport(model, source, targets, { force: true })
    expect(readFileSync(kept, 'utf8')).toMatch(/^### pgrehearse/)
  })

  test.each([
    ['a folder that is not there', 'missing/r.html', 'TARGET_FOLDER_MISSING'],
    ['a folder', '.', 'TARGET_EXISTS'],
  ])('%s is refused', (_, name, code) => {
    const write = () => writeReport(model, source, { html: join(folder, name) }, { force: true })
    expect(write).toThrow(expect.objectContaining({ code, exit: 2 }))
  })

  test('two outputs in one file are refused', () => {
    const one = join(folder, 'same')
    const write = () => writeReport(model, source, { html: one, json: one }, { force: true })
    expect(write).toThrow(expect.objectContaining({ code: 'TARGET_TWICE' }))
  })
})
