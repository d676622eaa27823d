/**
 * A walk through every type of message of the protocol, 3.0 and 3.2, both ways. Each is shown to occur in a conversation that is held
 * twice, direct and through the proxy, in which both sides hear the same bytes, and is then looked for in the recording.
 *
 * What a server makes up for each login (salt, nonce, process, cancel key) is compared by its length.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { balances } from '../../segment/ledger.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import { BACKEND } from '../../wire/backend.js'
import { buildBindRest } from '../../wire/bind.js'
import { int32, MessageWriter } from '../../wire/bytes.js'
import { Framer } from '../../wire/framer.js'
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
import {
  buildCancel,
  buildSslRequest,
  CANCEL_REQUEST,
  GSSENC_REQUEST,
  readStartup,
  SSL_REQUEST,
} from '../../wire/startup.js'
import { comparable, type Line, Login, type LoginOptions } from './login.js'
import { server as says } from './messages.js'
import { type Bench, bench, type Recorded, read } from './recording.js'
import { type Road, road } from './road.js'
import { writeServerFile } from './tls-server.js'

const PASSWORD = 'correct horse battery'
const HBA = `
host all password_user 127.0.0.1/32 password
host all md5_user 127.0.0.1/32 md5
host all scram_user 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 trust
host all all 127.0.0.1/32 trust
`

type Where = { readonly port: number; readonly minor: number; readonly way: Road }
type Talk = (where: Where) => Promise<Line[]>

const trusting = ({ port, minor }: Where, more: Partial<LoginOptions> = {}): LoginOptions => ({
  port,
  minor,
  user: 'postgres',
  ...more,
})

/** A login, what is asked in turn (up to each ReadyForQuery), and a farewell. */
const asked =
  (options: Partial<LoginOptions>, ...requests: Uint8Array[]): Talk =>
  async (where) => {
    const login = await Login.begin(trusting(where, options))
    for (const bytes of requests) await login.ask(bytes)
    await login.leave()
    return login.lines
  }

const together = (...messages: Uint8Array[]) => Buffer.concat(messages)

/** What this client says is answered as soon as a message of this type has come. */
async function answering(login: Login, bytes: Uint8Array, type: string, answer: Uint8Array): Promise<void> {
  const from = login.said.length
  login.say(bytes)
  await login.until(type, from)
  login.say(answer)
  await login.until('Z', from)
}

const copies: Talk = async (where) => {
  const login = await Login.begin(trusting(where))
  const line = buildCopyData(Buffer.from('1\tone\n'))
  await login.ask(buildQuery('TRUNCATE t'))
  await answering(login, buildQuery('COPY t FROM STDIN'), 'G', together(line, line, buildCopyDone()))
  await answering(login, buildQuery('COPY t FROM STDIN'), 'G', together(line, buildCopyFail('no more')))
  await login.ask(buildQuery('COPY t TO STDOUT (FORMAT binary)'))
  await login.leave()
  return login.lines
}

const cancels: Talk = async (where) => {
  const login = await Login.begin(trusting(where))
  const { pid, key } = login.cancelKey
  const sleeping = login.ask(buildQuery('SELECT pg_sleep(600)'))
  await asleep(pid)
  const other = await Login.raw(where.port, buildCancel(pid, key))
  await other.gone()
  await sleeping
  await login.leave()
  return [...other.lines, ...login.lines]
}

/** Asks for encryption, which nobody has here, one way and the other; then goes on in the clear. */
const plain: Talk = async (where) => {
  const socket = await opened(where.port)
  const lines: Line[] = []
  for (const bytes of [bare(GSSENC_REQUEST), buildSslRequest()]) {
    lines.push({ by: 'client', bytes })
    socket.write(bytes)
    const body = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    lines.push({ by: 'server', message: { type: `no to ${body}`, body } })
  }
  const login = await Login.on(socket, trusting(where))
  await login.leave()
  return [...lines, ...login.lines]
}

const replicates: Talk = async (where) => {
  const login = await Login.begin(trusting(where, { parameters: { replication: 'true' } }))
  const start = buildQuery('START_REPLICATION PHYSICAL 0/1000000 TIMELINE 1')
  await answering(login, start, 'W', buildCopyDone())
  await login.leave()
  // How much of the log came before the server heard that it is enough is nobody's doing.
  return login.lines.filter((line) => line.by === 'client' || line.message.type !== 'd')
}

/** Ways to log in that need a domain of their own: the server's part is played on the road. */
const played =
  (...parts: Buffer[]): Talk =>
  async ({ port, minor, way }) => {
    way.mute()
    const socket = await opened(port)
    const entering = Login.on(socket, { port, user: 'ann', minor })
    let heard = 9
    for (const part of parts) {
      heard = (await way.hears(heard)).length + 1
      way.say(part)
      // As a server does that has sent somebody away.
      if (part.includes('SERROR')) way.hangUp()
    }
    const login = await entering
    if (!login.closed && login.said.at(-1)?.type === 'Z') {
      const answer = login.ask(buildQuery('SELECT 1'))
      await way.hears(heard)
      way.say(Buffer.concat([says.complete('SELECT 0'), says.ready('I')]))
      await answer
    }
    login.end()
    return login.lines
  }

const welcome = Buffer.concat([says.authenticationOk(), says.key(4711), says.ready('I')])

const EXTENDED = [
  together(
    buildParse('by_id', 'SELECT i FROM generate_series(1, $1::int) i', [23]),
    buildDescribe('S', 'by_id'),
    buildSync(),
  ),
  together(
    buildBind('some', 'by_id', buildBindRest(['5'], [0], [1])),
    buildDescribe('P', 'some'),
    buildExecute('some', 2),
    buildFlush(),
    buildExecute('some'),
    buildClose('P', 'some'),
    buildClose('S', 'by_id'),
    buildSync(),
  ),
  together(buildParse('', 'SET work_mem = 4096'), buildDescribe('S', ''), buildSync()),
  together(buildParse('', ''), buildBind('', '', buildBindRest([])), buildExecute(''), buildSync()),
]

const SIMPLE = [
  buildQuery('SELECT 1 AS one'),
  buildQuery(''),
  buildQuery('SELECT 1/0'),
  buildQuery("DO $$ BEGIN RAISE NOTICE 'hello'; END $$"),
  buildQuery("SET application_name = 'renamed'"),
  buildQuery('LISTEN news'),
  buildQuery("NOTIFY news, 'paper'"),
]

/** int4pl(40, 2), arguments and result in binary. */
const FUNCTION_CALL = new MessageWriter()
  .start(FRONTEND.functionCall)
  .int32(177)
  .int16(1)
  .int16(1)
  .int16(2)
  .counted(Buffer.from([0, 0, 0, 40]))
  .counted(Buffer.from([0, 0, 0, 2]))
  .int16(1)
  .finish()
  .bytes()

const CONVERSATIONS = {
  'password in the clear': asked({ user: 'password_user', password: PASSWORD }, SIMPLE[0]!),
  md5: asked({ user: 'md5_user', password: PASSWORD }, SIMPLE[0]!),
  SCRAM: asked({ user: 'scram_user', password: PASSWORD }, SIMPLE[0]!),
  GSSAPI: played(says.authentication(7, Buffer.alloc(0)), says.authentication(8, Buffer.from('next')), welcome),
  SSPI: played(says.authentication(9, Buffer.alloc(0)), says.error('28000')),
  'Kerberos V5': played(Buffer.concat([says.authentication(2, Buffer.alloc(0)), says.error('28000')])),
  'encryption that is not there': plain,
  'an option nobody knows': asked({ parameters: { '_pq_.unheard_of': '1' } }),
  'simple queries': asked({}, ...SIMPLE),
  'extended queries': asked({}, ...EXTENDED),
  COPY: copies,
  'function call': asked({}, FUNCTION_CALL),
  cancelling: cancels,
  replication: replicates,
} satisfies Record<string, Talk>

type Place = keyof typeof CONVERSATIONS
type Row = {
  readonly name: string
  /** The letter; none in front of a session. */
  readonly type: string
  /** Further told apart by this number in it; of an answer to Authentication, by the number in that. */
  readonly codes?: readonly number[]
  readonly place: Place
  /** What a recording has of it; null: it passes, and nothing of it is kept. */
  readonly kept: ((recorded: Recorded) => boolean) | null
}

const some = (of: (statement: RecordedStatement) => boolean) => (recorded: Recorded) => recorded.statements.some(of)
const frame = (...kinds: string[]) =>
  some(({ frames }) =>
    frames
      .map(([kind]) => kind)
      .join('')
      .includes(kinds.join('')),
  )
const event = (kind: string) => (recorded: Recorded) => recorded.events.some((one) => one.kind === kind)

const FROM_CLIENT: readonly Row[] = [
  { name: 'Bind', type: 'B', place: 'extended queries', kept: some(({ bind }) => bind !== null) },
  { name: 'CancelRequest', type: '', codes: [CANCEL_REQUEST], place: 'cancelling', kept: event('cancel') },
  { name: 'Close', type: 'C', place: 'extended queries', kept: frame('C', 'C', 'S') },
  { name: 'CopyData', type: 'd', place: 'COPY', kept: some(({ copy }) => copy?.toString() === '1\tone\n1\tone\n') },
  { name: 'CopyDone', type: 'c', place: 'COPY', kept: frame('d', 'c') },
  { name: 'CopyFail', type: 'f', place: 'COPY', kept: frame('d', 'f') },
  { name: 'Describe', type: 'D', place: 'extended queries', kept: frame('P', 'D', 'S') },
  { name: 'Execute', type: 'E', place: 'extended queries', kept: frame('B', 'D', 'E') },
  { name: 'Flush', type: 'H', place: 'extended queries', kept: frame('E', 'H') },
  { name: 'FunctionCall', type: 'F', place: 'function call', kept: frame('F') },
  { name: 'GSSENCRequest', type: '', codes: [GSSENC_REQUEST], place: 'encryption that is not there', kept: null },
  { name: 'GSSResponse', type: 'p', codes: [7, 8, 9], place: 'GSSAPI', kept: null },
  { name: 'Parse', type: 'P', place: 'extended queries', kept: frame('P') },
  { name: 'PasswordMessage', type: 'p', codes: [3], place: 'password in the clear', kept: null },
  { name: 'PasswordMessage of md5', type: 'p', codes: [5], place: 'md5', kept: null },
  { name: 'Query', type: 'Q', place: 'simple queries', kept: frame('Q') },
  { name: 'SASLInitialResponse', type: 'p', codes: [10], place: 'SCRAM', kept: null },
  { name: 'SASLResponse', type: 'p', codes: [11], place: 'SCRAM', kept: null },
  { name: 'SSLRequest', type: '', codes: [SSL_REQUEST], place: 'encryption that is not there', kept: null },
  {
    name: 'StartupMessage',
    type: '',
    place: 'simple queries',
    kept: ({ sessions }) => sessions.some(({ user, database }) => user === 'postgres' && database === 'postgres'),
  },
  { name: 'Sync', type: 'S', place: 'extended queries', kept: frame('S') },
  { name: 'Terminate', type: 'X', place: 'simple queries', kept: event('disconnect') },
]

const login = (name: string, code: number, place: Place): Row => ({ name, type: 'R', codes: [code], place, kept: null })
const FROM_SERVER: readonly Row[] = [
  login('AuthenticationOk', 0, 'simple queries'),
  login('AuthenticationKerberosV5', 2, 'Kerberos V5'),
  login('AuthenticationCleartextPassword', 3, 'password in the clear'),
  login('AuthenticationMD5Password', 5, 'md5'),
  login('AuthenticationGSS', 7, 'GSSAPI'),
  login('AuthenticationGSSContinue', 8, 'GSSAPI'),
  login('AuthenticationSSPI', 9, 'SSPI'),
  login('AuthenticationSASL', 10, 'SCRAM'),
  login('AuthenticationSASLContinue', 11, 'SCRAM'),
  login('AuthenticationSASLFinal', 12, 'SCRAM'),
  {
    name: 'BackendKeyData',
    type: 'K',
    place: 'simple queries',
    kept: ({ sessions }) => sessions.every(({ backendPid }) => backendPid > 0),
  },
  { name: 'BindComplete', type: '2', place: 'extended queries', kept: some(({ outcome }) => outcome.error === null) },
  { name: 'CloseComplete', type: '3', place: 'extended queries', kept: frame('C', 'C', 'S') },
  {
    name: 'CommandComplete',
    type: 'C',
    place: 'simple queries',
    kept: some(({ outcome }) => outcome.tag === 'SELECT 1'),
  },
  { name: 'CopyData of the server', type: 'd', place: 'COPY', kept: some(({ outcome }) => outcome.tag === 'COPY 2') },
  { name: 'CopyDone of the server', type: 'c', place: 'COPY', kept: some(({ outcome }) => outcome.tag === 'COPY 2') },
  { name: 'CopyInResponse', type: 'G', place: 'COPY', kept: frame('Q', 'd', 'c') },
  { name: 'CopyOutResponse', type: 'H', place: 'COPY', kept: some(({ outcome }) => outcome.tag === 'COPY 2') },
  { name: 'CopyBothResponse', type: 'W', place: 'replication', kept: null },
  { name: 'DataRow', type: 'D', place: 'simple queries', kept: some(({ outcome }) => outcome.rows?.[0]?.[0] === '1') },
  {
    name: 'EmptyQueryResponse',
    type: 'I',
    place: 'simple queries',
    kept: some(({ frames, outcome }) => frames[0]?.[0] === 'Q' && outcome.tag === '' && outcome.error === null),
  },
  {
    name: 'ErrorResponse',
    type: 'E',
    place: 'simple queries',
    kept: some(({ outcome }) => outcome.error?.sqlstate === '22012'),
  },
  {
    name: 'FunctionCallResponse',
    type: 'V',
    place: 'function call',
    kept: some(({ outcome }) => outcome.error === null && outcome.status === 'I'),
  },
  { name: 'NegotiateProtocolVersion', type: 'v', place: 'an option nobody knows', kept: null },
  {
    name: 'NoData',
    type: 'n',
    place: 'extended queries',
    kept: some(({ sql, outcome }) => sql.startsWith('SET work_mem') && outcome.columns === null),
  },
  { name: 'NoticeResponse', type: 'N', place: 'simple queries', kept: event('notice') },
  { name: 'NotificationResponse', type: 'A', place: 'simple queries', kept: event('notify') },
  {
    name: 'ParameterDescription',
    type: 't',
    place: 'extended queries',
    kept: some(({ parameterTypes }) => parameterTypes[0] === 23),
  },
  {
    name: 'ParameterStatus',
    type: 'S',
    place: 'simple queries',
    kept: some(({ outcome }) => outcome.tag === 'SET'),
  },
  { name: 'ParseComplete', type: '1', place: 'extended queries', kept: frame('P') },
  { name: 'PortalSuspended', type: 's', place: 'extended queries', kept: some(({ outcome }) => outcome.suspended) },
  { name: 'ReadyForQuery', type: 'Z', place: 'simple queries', kept: some(({ outcome }) => outcome.status === 'I') },
  {
    name: 'RowDescription',
    type: 'T',
    place: 'simple queries',
    kept: some(({ outcome }) => outcome.columns?.[0]?.name === 'one'),
  },
]

/** The names of what was said. */
function namesOf(lines: readonly Line[]): string[] {
  const names: string[] = []
  let started = false
  let authentication = 0
  const nameOf = (rows: readonly Row[], type: string, code: number) =>
    rows.find((row) => row.type === type && (row.codes?.includes(code) ?? true))?.name ?? `unknown ${type} ${code}`
  const framer = new Framer({
    message: (type) => names.push(nameOf(FROM_CLIENT, String.fromCharCode(type), authentication)),
    part: () => {},
    malformed: () => {},
  })
  for (const line of lines) {
    if (line.by === 'server') {
      const { type, body } = line.message
      const code = type === 'R' ? int32(body, 0) : 0
      if (type === 'R') authentication = code
      if (!type.startsWith('no to ')) names.push(nameOf(FROM_SERVER, type, code))
      continue
    }
    if (started) {
      framer.push(line.bytes)
      continue
    }
    const step = readStartup(line.bytes)
    const code = int32(line.bytes, 4)
    // A cancel request ends its connection, and what comes behind it is another's.
    started = step.kind === 'packet' && step.packet.kind === 'startup'
    names.push(FROM_CLIENT.find((row) => row.codes?.includes(code))?.name ?? 'StartupMessage')
  }
  return names
}

const spoken = (lines: readonly Line[]): string[] =>
  comparable(lines.flatMap((line) => (line.by === 'server' ? [line.message] : [])))

let server: OwnedServer
let at: Bench
beforeAll(async () => {
  at = bench()
  server = await startServer({ settings: { wal_level: 'replica', max_wal_senders: '4' } })
  const admin = new pg.Client(server.url())
  await admin.connect()
  for (const user of ['password_user', 'scram_user']) {
    await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'`)
  }
  await admin.query('CREATE TABLE t (id int, name text)')
  await admin.query("SET password_encryption = 'md5'")
  await admin.query(`CREATE ROLE md5_user LOGIN PASSWORD '${PASSWORD}'`)
  writeServerFile(server, 'pg_hba.conf', HBA)
  await admin.query('SELECT pg_reload_conf()')
  await admin.end()
  // The postmaster reads its settings when it gets to it.
  while (!(await demands(3)));
})
afterAll(async () => {
  at.remove()
  await server.stop()
})

async function demands(code: number): Promise<boolean> {
  const login = await Login.begin({ port: server.port, user: 'password_user', password: PASSWORD })
  login.end()
  return int32(login.said[0]!.body, 0) === code
}

type Held = { readonly direct: Line[]; readonly proxied: Line[]; readonly recorded: Recorded; readonly bytes: string }

async function hold(talk: Talk, minor: number): Promise<Held> {
  const way = await road(server.url())
  const isPlayed = PLAYED.has(talk)
  const recording = await at.start(`${isPlayed ? way.url : server.url()}?sslmode=disable`)
  const port = isPlayed ? Number(new URL(way.url).port) : server.port
  const direct = await talk({ port, minor, way })
  const proxied = await talk({ port: recording.port, minor, way })
  // A farewell belongs to the recording as well.
  while (recording.status().connections > 0) await new Promise((resolve) => setImmediate(resolve))
  const manifest = await recording.stop()
  way.close()
  expect(balances(manifest!.ledger)).toBe(true)
  expect(manifest!.ledger.lost).toEqual({})
  const segments = join(recording.path, 'segments')
  const bytes = readdirSync(segments).map((name) => readFileSync(join(segments, name), 'latin1'))
  return { direct, proxied, recorded: read(recording.path), bytes: bytes.join('') }
}

const PLAYED = new Set<Talk>([CONVERSATIONS.GSSAPI, CONVERSATIONS.SSPI, CONVERSATIONS['Kerberos V5']])
const PLACES = Object.keys(CONVERSATIONS) as Place[]

describe.each([
  { version: '3.0', minor: 0 },
  { version: '3.2', minor: 2 },
])('protocol $version', ({ minor }) => {
  const held = new Map<Place, Held>()
  beforeAll(async () => {
    for (const place of PLACES) held.set(place, await hold(CONVERSATIONS[place], minor))
  })

  test.each(PLACES)('%s: the same bytes, direct and proxied', (place) => {
    const { direct, proxied } = held.get(place)!
    expect(spoken(proxied)).toEqual(spoken(direct))
    expect(namesOf(proxied)).toEqual(namesOf(direct))
    expect(namesOf(direct).filter((name) => name.startsWith('unknown'))).toEqual([])
  })

  test.each([
    ...FROM_CLIENT.map((row) => ({ ...row, title: `${row.name} of a client` })),
    ...FROM_SERVER.map((row) => ({ ...row, title: `${row.name} of a server` })),
  ])('$title occurs, in: $place', ({ name, place, kept }) => {
    const { direct, proxied, recorded } = held.get(place)!
    expect(namesOf(direct)).toContain(name)
    expect(namesOf(proxied)).toContain(name)
    if (kept !== null) expect(kept(recorded)).toBe(true)
  })

  test('nothing of a login is in the recording', () => {
    for (const [place, { bytes }] of held) {
      for (const secret of [PASSWORD, 'a-nonce-that-never-changes', 'token 7', 'SCRAM-SHA-256']) {
        expect(bytes.includes(secret), `${secret} in ${place}`).toBe(false)
      }
    }
    expect(held.get('replication')!.recorded.sessions).toEqual([])
  })
})

test('the walk leaves out no letter that the recorder knows', () => {
  const letters = (rows: readonly Row[]) => new Set(rows.map(({ type }) => type.charCodeAt(0)))
  for (const letter of Object.values(FRONTEND)) expect(letters(FROM_CLIENT)).toContain(letter)
  for (const letter of Object.values(BACKEND)) expect(letters(FROM_SERVER)).toContain(letter)
})

function bare(code: number): Buffer {
  return new MessageWriter(8).start(0).int32(code).finish().bytes()
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

async function asleep(pid: number): Promise<void> {
  const client = new pg.Client(server.url())
  await client.connect()
  const sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
  while ((await client.query(sql, [pid])).rows.length === 0);
  await client.end()
}
