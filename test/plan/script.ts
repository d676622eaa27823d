/**
 * Recordings written by hand, for planning: one line a statement, times in microseconds. Catalog without a server.
 */
import { buildPlan, type PlanSource } from '../../replayer/plan/build.js'
import type { Catalog, CatalogColumn, Relation } from '../../segment/catalog.js'
import { factsOf } from '../../segment/facts.js'
import type { Column, Row } from '../../segment/outcome.js'
import type { SafeSql, Session, Statement } from '../../segment/statement.js'

export type Line = {
  readonly session: number
  readonly sql: string
  readonly at: readonly [sentUs: number, doneUs: number]
  readonly parameters?: readonly (string | null)[]
  /** Statements with the same number share a transaction; without one, each has its own. */
  readonly transaction?: number
  readonly tag?: string
  readonly sqlstate?: string
  /** `{ 'jobs.id': ['4'] }`: returned columns. */
  readonly returned?: Readonly<Record<string, readonly string[]>>
  readonly simple?: boolean
  /** As it was sent, when neither a simple query nor one Bind and Execute of the unnamed portal. */
  readonly frames?: Statement['frames']
}

const INT = 23
const TEXT = 25

export const CATALOG: Catalog = {
  database: 'shop',
  serverVersionNum: 180000,
  searchPath: ['public'],
  types: [],
  functions: [],
  relations: [
    table(1, 'accounts', ['id', 'balance'], { draws: 0 }),
    table(2, 'jobs', ['id', 'state'], { draws: 100 }),
    sequence(100, 'jobs_id_seq'),
    table(3, 'notes', ['id', 'account_id', 'text'], { draws: 101 }),
    sequence(101, 'notes_id_seq'),
    table(4, 'parents', ['id'], { draws: 0 }),
    {
      ...table(5, 'children', ['id', 'parent_id'], { draws: 102 }),
      foreignKeys: [
        {
          name: 'children_parent_id_fkey',
          columns: [2],
          referencedOid: 4,
          referencedColumns: [1],
          onUpdate: 'no action',
          onDelete: 'no action',
        },
      ],
    },
    {
      ...table(6, 'patient', ['id', 'parent_id'], { draws: 103 }),
      foreignKeys: [
        {
          name: 'patient_parent_id_fkey',
          columns: [2],
          referencedOid: 4,
          referencedColumns: [1],
          onUpdate: 'no action',
          onDelete: 'no action',
          deferred: true,
        },
      ],
    },
    sequence(103, 'patient_id_seq'),
    sequence(102, 'children_id_seq'),
    table(7, 'events', ['id', 'kind', 'at'], { draws: 0, times: ['at'] }),
  ],
}

type Server = Partial<PlanSource['manifest']['server']>

/** `B < A`: B is sent after A completed; `B <snapshot A`: after A has its snapshot. Letters in the order of sending. */
export async function waits(lines: readonly Line[], server: Server = {}): Promise<string[]> {
  const { waits: w } = await buildPlan(script(lines, server))
  const name = (i: number) => String.fromCharCode(65 + i)
  return lines
    .flatMap((_, i) =>
      [...w.on.slice(w.start[i], w.start[i + 1])].map(
        (on, k) => `${name(i)} <${w.kind[w.start[i]! + k] ? 'snapshot' : ''} ${name(on)}`,
      ),
    )
    .sort()
}

export function script(lines: readonly Line[], server: Server = {}): PlanSource {
  const ordinals = new Map<number, number>()
  let lone = 1_000_000
  const statements = lines
    .toSorted((a, b) => a.at[0] - b.at[0])
    .map((line, i): Statement => {
      const ordinal = (ordinals.get(line.session) ?? 0) + 1
      ordinals.set(line.session, ordinal)
      lone += 1
      return {
        seq: i + 1,
        session: line.session,
        ordinal,
        transaction: line.transaction ?? lone,
        part: 0,
        sentUs: line.at[0],
        doneUs: line.at[1],
        frames: line.frames ?? (line.simple ? [['Q']] : [['P', '', []], ['B', '', ''], ['E', '', 0], ['S']]),
        sql: line.sql as SafeSql,
        fingerprint: '',
        parameters: line.parameters ?? [],
        parameterTypes: [],
        bind: null,
        copy: null,
        unreplayable: null,
        outcome: {
          error: line.sqlstate ? { sqlstate: line.sqlstate, message: '' } : null,
          tag: line.tag ?? tagOf(line.sql),
          rowCount: rowsOf(line).length,
          columns: line.returned ? columnsOf(line.returned) : null,
          digest: null,
          rows: line.returned ? rowsOf(line) : null,
          rowsCut: false,
          suspended: false,
          status: 'I',
        },
      }
    })
  const sessions = [...ordinals.keys()].sort((a, b) => a - b).map(sessionOf)
  return {
    manifest: { catalog: CATALOG, server: { settings: {}, ...server } as PlanSource['manifest']['server'] },
    statementCount: statements.length,
    sessions: () => sessions,
    facts: () => statements.map(factsOf),
  }
}

function tagOf(sql: string): string {
  const verb = /^\w+/.exec(sql)![0].toUpperCase()
  return verb === 'INSERT' ? 'INSERT 0 1' : ['UPDATE', 'DELETE', 'SELECT'].includes(verb) ? `${verb} 1` : verb
}

function rowsOf(line: Line): Row[] {
  const columns = Object.values(line.returned ?? {})
  return (columns[0] ?? []).map((_, r) => columns.map((column) => column[r]!))
}

function columnsOf(returned: Readonly<Record<string, readonly string[]>>): Column[] {
  return Object.keys(returned).map((path) => {
    const [tableName, name] = path.split('.') as [string, string]
    const relation = CATALOG.relations.find((candidate) => candidate.name === tableName)!
    const column = relation.columns.find((candidate) => candidate.name === name)!
    return { name, typeOid: column.typeOid, typmod: -1, tableOid: relation.oid, attnum: column.attnum }
  })
}

function sessionOf(session: number): Session {
  return {
    session,
    backendPid: session,
    database: 'shop',
    user: 'app',
    application: '',
    parameters: {},
    connectedUs: 0,
    prologue: [],
  }
}

/** `draws`: the sequence of the first column; `times`: those that default to now(). */
type Columns = { readonly draws: number; readonly times?: readonly string[] }

function table(oid: number, name: string, columns: readonly string[], { draws, times = [] }: Columns): Relation {
  return {
    ...sequence(oid, name),
    kind: 'table',
    columns: columns.map((column, i): CatalogColumn => {
      const isNumber = i === 0 || column === 'balance' || column.endsWith('_id')
      return {
        attnum: i + 1,
        name: column,
        typeOid: isNumber ? INT : TEXT,
        type: isNumber ? 'integer' : 'text',
        typmod: -1,
        notNull: i === 0,
        default: times.includes(column) ? 'now()' : null,
        identity: '',
        generated: '',
        sequenceOid: i === 0 ? draws : 0,
        comment: '',
      }
    }),
    uniques: [{ name: `${name}_pkey`, primary: true, columns: [1], predicate: null }],
  }
}

function sequence(oid: number, name: string): Relation {
  return {
    oid,
    schema: 'public',
    name,
    kind: 'sequence',
    persistence: 'p',
    columns: [],
    uniques: [],
    foreignKeys: [],
    triggers: [],
    rules: [],
    parents: [],
    viewSql: null,
    rowSecurity: false,
  }
}
