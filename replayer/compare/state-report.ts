/**
 * From compared tables and schemas to lines for a person, worst first: data, then what the next write will run into, then the rest.
 */
import { hash } from 'node:crypto'
import type { SchemaKind, SchemaState, StateFinding, StateReport, TableState } from '../../segment/state.js'

type Draft = Omit<StateFinding, 'findingId'>

export function stateReport(
  tables: readonly TableState[],
  schema: SchemaState,
  more: Pick<StateReport, 'checkedAtMs' | 'momentsLeftOut'>,
): StateReport {
  const drafts = [...tables.flatMap(ofTable), ...ofSchema(schema)]
  const findings = drafts
    .map((draft): StateFinding => ({ findingId: idOf(draft), ...draft }))
    .sort((a, b) => severity(a) - severity(b) || b.count - a.count)
  return { ...more, tables, schema, findings }
}

/** Does the second side hold what it should? */
export function isFaithful({ findings }: Pick<StateReport, 'findings'>): boolean {
  return findings.every(({ fault }) => !fault)
}

const NONE = { fault: true, columns: [], count: 1, more: false, rows: null } as const

function ofTable(table: TableState): Draft[] {
  const { table: object, verdict, missing, extra, changed, more, examples, columnsMissing } = table
  if (verdict === 'missing') {
    const { elsewhere = [] } = table
    const moved =
      elsewhere.length === 0 ? '' : `, but ${elsewhere.join(' and ')}: moved to where nobody looks (search_path)?`
    return [{ ...NONE, kind: 'table_missing', object, sentence: `V2 has no table ${object}${moved}` }]
  }
  const gone = columnsMissing.map(
    (column): Draft => ({
      ...NONE,
      kind: 'column_missing',
      object,
      columns: [`${object}.${column}`],
      sentence: `V2 has no column ${object}.${column}`,
    }),
  )
  const count = missing + extra + changed
  if (verdict === 'equal' || count === 0) return gone
  const wrong = table.columns.filter(({ gained }) => gained !== true)
  const causes = wrong.map(({ cause }) => cause)
  const moved = [
    ...(missing > 0 ? [`${missing} rows are missing`] : []),
    ...(extra > 0 ? [`${extra} rows are too many`] : []),
    ...(causes.length > 0 ? causes : changed > 0 ? [`${changed} rows are changed`] : []),
  ]
  const columns = wrong.map(({ column }) => `${object}.${column}`)
  const sentence = `after the replay, in ${object}: ${moved.join('; ')}`
  return [{ ...NONE, kind: 'rows', object, columns, count, more, rows: examples, sentence }, ...gone]
}

function ofSchema({ missing, changed, behind }: SchemaState): Draft[] {
  return [
    ...behind.map(
      ({ sequence, before, after }): Draft => ({
        ...NONE,
        kind: 'sequence_behind',
        object: sequence,
        sentence: `sequence ${sequence} stands at ${after} where V1's stands at ${before}: it will give values away again`,
      }),
    ),
    ...missing.map(
      ({ object, kind, text, called }): Draft => ({
        ...NONE,
        kind: 'schema_missing',
        object,
        schemaKind: kind,
        sentence:
          text === 'is not there'
            ? `${kind} ${object} is not there`
            : `${object} has lost ${words(kind)} ${called === undefined ? '' : `${called}: `}${text}`,
      }),
    ),
    ...changed.map(
      ({ object, kind, before, after, rewritten }): Draft => ({
        ...NONE,
        kind: 'schema_changed',
        fault: !rewritten,
        object,
        schemaKind: kind,
        sentence: rewritten
          ? `${kind} ${object} is written anew`
          : `${kind} of ${object}: ${oneLine(after)} where it was ${oneLine(before)}`,
      }),
    ),
  ]
}

function words(kind: SchemaKind): string {
  return kind === 'not null' ? 'NOT NULL of' : kind === 'type' ? 'its' : `the ${kind}`
}

const TEXT_MAX = 300

export function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > TEXT_MAX ? `${line.slice(0, TEXT_MAX - 1)}…` : line
}

const SEVERITY: Readonly<Record<StateFinding['kind'], number>> = {
  table_missing: 0,
  column_missing: 0,
  rows: 1,
  sequence_behind: 2,
  schema_missing: 3,
  schema_changed: 3,
}

/** What refuses wrong data comes before what is slow, and both before words. */
const LESSER: ReadonlySet<SchemaKind | undefined> = new Set<SchemaKind>(['comment'])

function severity({ kind, fault, schemaKind }: Draft): number {
  return !fault ? 9 : LESSER.has(schemaKind) ? 8 : SEVERITY[kind]
}

function idOf({ kind, object, schemaKind, sentence }: Draft): string {
  return `s-${hash('sha256', JSON.stringify([kind, object, schemaKind, sentence])).slice(0, 12)}`
}
