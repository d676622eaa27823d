import { beforeAll, expect, test } from 'vitest'
import { balances } from '../../segment/ledger.js'
import { buildBindRest } from '../../wire/bind.js'
import { MessageWriter } from '../../wire/bytes.js'
import {
  buildBind,
  buildClose,
  buildCopyData,
  buildCopyDone,
  buildCopyFail,
  buildDescribe,
  buildExecute,
  buildFlush,
  buildParse,
  buildQuery,
  buildSync,
  FRONTEND,
} from '../../wire/frontend.js'
import { createDatabase } from '../support/database.js'
import { converse, type Step } from './raw-session.js'
import { bench, type Recorded, recordOf } from './recording.js'

const bytes = (...messages: Buffer[]): Step => ({ send: Buffer.concat(messages) })
const query = (sql: string): Step => bytes(buildQuery(sql))
const bind = (name: string, values: (string | Buffer | null)[], formats: (0 | 1)[] = [], results: (0 | 1)[] = []) =>
  buildBind('', name, buildBindRest(values, formats, results))
const four = (value: number) => {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}
/** A function called by its number, arguments and result in binary. */
const call = (oid: number, ...values: number[]): Step => {
  const writer = new MessageWriter().start(FRONTEND.functionCall).int32(oid).int16(1).int16(1).int16(values.length)
  for (const value of values) writer.counted(four(value))
  return bytes(writer.int16(1).finish().bytes())
}
/** int4pl and int4div of pg_proc; these numbers never change. */
const [PLUS, DIVIDED] = [177, 154]
const INSERT = 'INSERT INTO t VALUES ($1, $2)'

type Row = {
  frames: string
  sql?: string
  part?: number
  parameters?: (string | null)[]
  tag?: string
  error?: string
  rows?: (string | null)[][] | null
  status?: string | null
  transaction?: number
  copy?: string
  suspended?: boolean
  unreplayable?: string
}

/** Every shape of conversation: what is sent, and the rows a recording has of it. */
const SHAPES: readonly { name: string; steps: Step[]; rows: Row[] }[] = [
  {
    name: 'a simple query',
    steps: [query('SELECT 1 AS one')],
    rows: [{ frames: 'Q', sql: 'SELECT 1 AS one', tag: 'SELECT 1', rows: [['1']], status: 'I', transaction: 1 }],
  },
  {
    name: 'an empty query',
    steps: [query('')],
    rows: [{ frames: 'Q', sql: '', tag: '', rows: null, status: 'I' }],
  },
  {
    name: 'several statements in one query: a row each, the message with the first',
    steps: [query("INSERT INTO t VALUES (1, 'é'); SELECT id FROM t; SELECT name FROM t")],
    rows: [
      { frames: 'Q', part: 0, tag: 'INSERT 0 1', rows: null, status: null, transaction: 1 },
      { frames: '', part: 1, sql: 'SELECT id FROM t', tag: 'SELECT 1', rows: [['1']], status: null, transaction: 1 },
      { frames: '', part: 2, tag: 'SELECT 1', rows: [['é']], status: 'I', transaction: 1 },
    ],
  },
  {
    name: 'several statements, the second fails: the third never ran and has no row',
    steps: [query('SELECT 1; SELECT 1/0; SELECT 3')],
    rows: [
      { frames: 'Q', part: 0, tag: 'SELECT 1' },
      { frames: '', part: 1, tag: '', error: '22012', rows: null, status: 'I' },
    ],
  },
  {
    name: 'an error outside a transaction',
    steps: [query('SELECT nothing')],
    rows: [{ frames: 'Q', tag: '', error: '42703', status: 'I' }],
  },
  {
    name: 'a transaction with savepoints and an error',
    steps: [
      query('BEGIN'),
      query("INSERT INTO t VALUES (1, 'a')"),
      query('SAVEPOINT s'),
      query("INSERT INTO t VALUES (1, 'again')"),
      query('SELECT 1'),
      query('ROLLBACK TO s'),
      query('COMMIT'),
      query('SELECT count(*) FROM t'),
    ],
    rows: [
      { frames: 'Q', tag: 'BEGIN', status: 'T', transaction: 1 },
      { frames: 'Q', tag: 'INSERT 0 1', status: 'T', transaction: 1 },
      { frames: 'Q', tag: 'SAVEPOINT', status: 'T', transaction: 1 },
      { frames: 'Q', error: '23505', status: 'E', transaction: 1 },
      { frames: 'Q', error: '25P02', status: 'E', transaction: 1 },
      { frames: 'Q', tag: 'ROLLBACK', status: 'T', transaction: 1 },
      { frames: 'Q', tag: 'COMMIT', status: 'I', transaction: 1 },
      { frames: 'Q', tag: 'SELECT 1', rows: [['1']], status: 'I', transaction: 2 },
    ],
  },
  {
    name: 'parse, bind, describe, execute, sync: one row',
    steps: [
      bytes(
        buildParse('', 'SELECT $1::int + 1 AS n', [23]),
        bind('', ['41']),
        buildDescribe('P', ''),
        buildExecute(''),
        buildSync(),
      ),
    ],
    rows: [{ frames: 'PBDES', sql: 'SELECT $1::int + 1 AS n', parameters: ['41'], tag: 'SELECT 1', rows: [['42']] }],
  },
  {
    name: 'prepared once, described once, executed twice without describing',
    steps: [
      bytes(buildParse('q', 'SELECT $1::int AS n'), buildDescribe('S', 'q'), buildSync()),
      bytes(bind('q', ['1']), buildExecute(''), buildSync()),
      bytes(bind('q', [null]), buildExecute(''), buildSync()),
      bytes(buildClose('S', 'q'), buildSync()),
    ],
    rows: [
      { frames: 'PDS', tag: '', rows: null, sql: 'SELECT $1::int AS n' },
      { frames: 'BES', parameters: ['1'], tag: 'SELECT 1', rows: [['1']], sql: 'SELECT $1::int AS n' },
      { frames: 'BES', parameters: [null], tag: 'SELECT 1', rows: [[null]] },
      { frames: 'CS', sql: '', tag: '', rows: null },
    ],
  },
  {
    name: 'binary parameters and binary results',
    steps: [
      bytes(
        buildParse('', `${INSERT} RETURNING *`, [23, 25]),
        bind('', [four(-7), Buffer.from('ü')], [1, 1], [1]),
        buildDescribe('P', ''),
        buildExecute(''),
        buildSync(),
      ),
    ],
    rows: [{ frames: 'PBDES', parameters: ['-7', 'ü'], tag: 'INSERT 0 1', rows: [['-7', 'ü']] }],
  },
  {
    name: 'a portal executed in pieces',
    steps: [
      query('BEGIN'),
      bytes(
        buildParse('', 'SELECT i FROM generate_series(1, 3) i'),
        bind('', []),
        buildDescribe('P', ''),
        buildExecute('', 2),
        buildSync(),
      ),
      bytes(buildExecute('', 2), buildSync()),
      query('COMMIT'),
    ],
    rows: [
      { frames: 'Q', tag: 'BEGIN' },
      { frames: 'PBDES', tag: '', suspended: true, rows: [['1'], ['2']] },
      { frames: 'ES', tag: 'SELECT 1', rows: [['3']], sql: 'SELECT i FROM generate_series(1, 3) i' },
      { frames: 'Q', tag: 'COMMIT' },
    ],
  },
  {
    name: 'a pipeline: several executes before one sync, one transaction',
    steps: [
      bytes(
        buildParse('i', INSERT, [23, 25]),
        ...[1, 2, 3].flatMap((id) => [bind('i', [String(id), 'x']), buildExecute('')]),
        buildSync(),
      ),
    ],
    rows: [
      { frames: 'PBE', parameters: ['1', 'x'], tag: 'INSERT 0 1', status: null, transaction: 1 },
      { frames: 'BE', parameters: ['2', 'x'], tag: 'INSERT 0 1', status: null, transaction: 1 },
      { frames: 'BES', parameters: ['3', 'x'], tag: 'INSERT 0 1', status: 'I', transaction: 1 },
    ],
  },
  {
    name: 'a pipeline with an error in the middle: the rest is skipped up to the sync',
    steps: [
      bytes(
        buildParse('j', INSERT, [23, 25]),
        ...['1', '1', '2'].flatMap((id) => [bind('j', [id, 'x']), buildExecute('')]),
        buildSync(),
        bind('j', ['9', 'x']),
        buildExecute(''),
        buildSync(),
      ),
    ].map((step) => ({ ...step, count: 2 })),
    rows: [
      { frames: 'PBE', tag: 'INSERT 0 1', status: null, transaction: 1 },
      { frames: 'BE', tag: '', error: '23505', status: null, transaction: 1 },
      { frames: 'BES', tag: '', parameters: ['2', 'x'], status: 'I', transaction: 1 },
      { frames: 'BES', tag: 'INSERT 0 1', status: 'I', transaction: 2 },
    ],
  },
  {
    name: 'two syncs on the way at once',
    steps: [
      {
        ...bytes(
          buildParse('', 'SELECT 1'),
          bind('', []),
          buildExecute(''),
          buildSync(),
          buildParse('', 'SELECT 2'),
          bind('', []),
          buildDescribe('P', ''),
          buildExecute(''),
          buildSync(),
        ),
        count: 2,
      },
    ],
    rows: [
      { frames: 'PBES', sql: 'SELECT 1', tag: 'SELECT 1', transaction: 1 },
      { frames: 'PBDES', sql: 'SELECT 2', tag: 'SELECT 1', rows: [['2']], transaction: 2 },
    ],
  },
  {
    name: 'flush, to look at a description first',
    steps: [
      { ...bytes(buildParse('', `${INSERT} RETURNING name`), buildDescribe('S', ''), buildFlush()), until: 'T' },
      bytes(bind('', ['1', 'x']), buildExecute(''), buildSync()),
    ],
    rows: [
      { frames: 'PDH', tag: '', status: null, transaction: 1 },
      { frames: 'BES', parameters: ['1', 'x'], tag: 'INSERT 0 1', rows: [['x']], status: 'I', transaction: 1 },
    ],
  },
  {
    name: 'a lone sync',
    steps: [bytes(buildSync())],
    rows: [{ frames: 'S', sql: '', tag: '' }],
  },
  {
    name: 'COPY in, simple',
    steps: [
      { ...query('COPY t FROM STDIN'), until: 'G' },
      bytes(buildCopyData(Buffer.from('1\ta\n2')), buildCopyData(Buffer.from('\tb\n')), buildCopyDone()),
    ],
    rows: [{ frames: 'Qdc', tag: 'COPY 2', copy: '1\ta\n2\tb\n', rows: null }],
  },
  {
    name: 'COPY in, extended: the sync the server ignored is not recorded',
    steps: [
      { ...bytes(buildParse('', 'COPY t FROM STDIN'), bind('', []), buildExecute(''), buildSync()), until: 'G' },
      bytes(buildCopyData(Buffer.from('1\ta\n')), buildCopyDone(), buildSync()),
      query('SELECT 1'),
    ],
    rows: [
      { frames: 'PBEdcS', tag: 'COPY 1', copy: '1\ta\n', status: 'I' },
      { frames: 'Q', tag: 'SELECT 1' },
    ],
  },
  {
    name: 'COPY in given up by the client',
    steps: [
      { ...query('COPY t FROM STDIN'), until: 'G' },
      bytes(buildCopyData(Buffer.from('1\ta\n')), buildCopyFail('changed my mind')),
      query('SELECT count(*) FROM t'),
    ],
    rows: [
      { frames: 'Qdf', error: '57014', copy: '1\ta\n' },
      { frames: 'Q', rows: [['0']] },
    ],
  },
  {
    name: 'COPY in refused by the server, while the client goes on sending',
    steps: [
      { ...query('COPY t FROM STDIN'), until: 'G' },
      bytes(buildCopyData(Buffer.from('not a number\ta\n'))),
      { ...bytes(buildCopyData(Buffer.from('2\tb\n')), buildCopyDone(), buildQuery('SELECT 5 AS n')) },
    ],
    rows: [
      { frames: 'Qd', error: '22P02' },
      { frames: 'Q', tag: 'SELECT 1', rows: [['5']] },
    ],
  },
  {
    name: 'COPY out',
    steps: [query("COPY (SELECT 1, 'x') TO STDOUT")],
    rows: [{ frames: 'Q', tag: 'COPY 1' }],
  },
  {
    name: 'function calls, inside and outside a transaction, one with an error',
    steps: [
      call(PLUS, 40, 2),
      query('BEGIN'),
      call(PLUS, 1, 1),
      call(DIVIDED, 1, 0),
      query('ROLLBACK'),
      query('SELECT 1'),
    ],
    rows: [
      { frames: 'F', status: 'I', transaction: 1, unreplayable: 'it is a function call of the old protocol' },
      { frames: 'Q', tag: 'BEGIN', transaction: 2 },
      { frames: 'F', status: 'T', transaction: 2, unreplayable: 'it is a function call of the old protocol' },
      {
        frames: 'F',
        error: '22012',
        status: 'E',
        transaction: 2,
        unreplayable: 'it is a function call of the old protocol',
      },
      { frames: 'Q', tag: 'ROLLBACK', transaction: 2 },
      { frames: 'Q', tag: 'SELECT 1', transaction: 3 },
    ],
  },
  {
    name: 'an error at Parse leaves a named statement as it was',
    steps: [
      bytes(buildParse('keep', 'SELECT 1 AS n'), buildSync()),
      bytes(buildParse('keep', 'SELECT 2 AS n'), buildSync()),
      bytes(bind('keep', []), buildDescribe('P', ''), buildExecute(''), buildSync()),
    ],
    rows: [
      { frames: 'PS', tag: '' },
      { frames: 'PS', tag: '', error: '42P05' },
      { frames: 'BDES', sql: 'SELECT 1 AS n', rows: [['1']] },
    ],
  },
  {
    name: 'NOTICE and ParameterStatus in between',
    steps: [query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$"), query("SET application_name = 'x'"), query('SELECT 1')],
    rows: [
      { frames: 'Q', tag: 'DO' },
      { frames: 'Q', tag: 'SET' },
      { frames: 'Q', tag: 'SELECT 1' },
    ],
  },
]

type Heard = { readonly direct: string; readonly proxied: string }

/** Each shape in a session of its own, direct and then through one proxy. */
let heard: Heard[]
let recorded: Recorded
beforeAll(async () => {
  const at = bench()
  const db = await createDatabase('CREATE TABLE t (id int PRIMARY KEY, name text)')
  heard = []
  recorded = await recordOf(at, db.url, async (url) => {
    for (const { steps } of SHAPES) {
      const direct = await converse(db.url, steps)
      await db.query('TRUNCATE t')
      const proxied = await converse(url, steps)
      await db.query('TRUNCATE t')
      heard.push({ direct: direct.toString('latin1'), proxied: proxied.toString('latin1') })
    }
  })
  at.remove()
  await db.drop()
})

const statementsOf = (shape: number) => recorded.statements.filter(({ session }) => session === shape + 1)

test.each(SHAPES.map(({ name }, shape) => ({ name, shape })))('$name passes byte for byte', ({ shape }) => {
  expect(heard[shape]!.proxied).toBe(heard[shape]!.direct)
})

test.each(SHAPES.map(({ name, rows }, shape) => ({ name, rows, shape })))('$name is recorded', ({ rows, shape }) => {
  const statements = statementsOf(shape)
  const transactions = [...new Set(statements.map(({ transaction }) => transaction))]
  const seen = statements.map((statement, i) => {
    const { outcome } = statement
    const all: Row = {
      frames: statement.frames.map(([kind]) => kind).join(''),
      sql: statement.sql,
      part: statement.part,
      parameters: [...statement.parameters],
      tag: outcome.tag,
      ...(outcome.error ? { error: outcome.error.sqlstate } : {}),
      rows: outcome.rows?.map((row) => [...row]) ?? null,
      status: outcome.status,
      transaction: transactions.indexOf(statement.transaction) + 1,
      ...(statement.copy ? { copy: Buffer.from(statement.copy).toString() } : {}),
      suspended: outcome.suspended,
      ...(statement.unreplayable === null ? {} : { unreplayable: statement.unreplayable }),
    }
    // A row of the table says what matters to it; errors and what cannot be replayed are always said.
    const wanted = Object.keys({ error: '', unreplayable: '', ...rows[i] })
    return Object.fromEntries(Object.entries(all).filter(([name]) => wanted.includes(name)))
  })
  expect(seen).toEqual(rows)
  expect(statements.map(({ ordinal }) => ordinal)).toEqual(statements.map((_, i) => i + 1))
  expect(statements.every(({ doneUs, sentUs }) => doneUs >= sentUs)).toBe(true)
})

test('positions ascend in the order of sending, and the ledger balances', () => {
  const { statements, manifest, sessions } = recorded
  expect(new Set(statements.map(({ seq }) => seq)).size).toBe(statements.length)
  expect(statements.every(({ sentUs }, i) => i === 0 || sentUs >= statements[i - 1]!.sentUs)).toBe(true)
  expect(manifest.ledger.kept.statements).toBe(SHAPES.flatMap(({ rows }) => rows).length)
  expect(manifest.ledger.lost).toEqual({})
  expect(balances(manifest.ledger)).toBe(true)
  expect(sessions.map(({ session }) => session)).toEqual(SHAPES.map((_, i) => i + 1))
  expect(sessions.every(({ backendPid, user }) => backendPid > 0 && user === 'postgres')).toBe(true)
})

test('a Bind is kept as sent: formats, values, result formats', () => {
  const shape = SHAPES.findIndex(({ name }) => name === 'binary parameters and binary results')
  const [statement] = statementsOf(shape)
  expect(Buffer.from(statement!.bind!).toString('hex')).toBe(
    buildBindRest([four(-7), Buffer.from('ü')], [1], [1]).toString('hex'),
  )
})

test('NOTICE is an event of its session', () => {
  const notices = recorded.events.filter(({ kind }) => kind === 'notice')
  expect(notices).toMatchObject([{ detail: { severity: 'NOTICE', sqlstate: '00000' } }])
})
