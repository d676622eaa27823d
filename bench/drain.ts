/**
 * What does a statement cost the drain, which decodes, masks, digests and writes it? Real bytes, taken from a tap in front of a real
 * server, go through a drain again and again, in this thread and with nothing beside: the processor's time a statement is what counts,
 * and it hardly depends on what else the machine does.
 *
 * `node dist/bench/drain.js [--only NAME] [--statements N] [--passes N] [--json]`
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { readKey } from '../privacy/key.js'
import { createMasker, type Masker } from '../privacy/masker.js'
import { parsePolicy } from '../privacy/policy/policy.js'
import { Drain } from '../recorder/drain/drain.js'
import { TIME_LIMITS } from '../recorder/tap/connection.js'
import { Tap } from '../recorder/tap/listener.js'
import { createRing, RingConsumer, RingProducer, type RingRecord } from '../recorder/tap/ring.js'
import { createTally, Tally } from '../recorder/tap/tally.js'
import { readUpstream } from '../recorder/upstream-facts.js'
import { parseUpstream } from '../recorder/upstream-url.js'
import { startServer } from '../replayer/shadow/server.js'
import { createRecording, type RecordingFacts } from '../segment/recording-writer.js'
import { ownUs } from './processor.js'

const ROWS = 1000
const SESSIONS = 4
const RING_BYTES = 256 << 20
const POLICY = parsePolicy(
  'version: 1\ncolumns:\n  public.users.email: email\n  public.users.full_name: full_name\n  public.users.city: keep\n',
  'bench',
)
const SCHEMA = `
  CREATE TABLE users (id int PRIMARY KEY, email text, full_name text, city text, note text);
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
  CREATE TABLE booking (id bigserial PRIMARY KEY, account int, delta int, at timestamptz DEFAULT now());
  INSERT INTO users SELECT i, 'user' || i || '@example.com', 'Person ' || i, 'City ' || i % 50, repeat('note ', 10)
    FROM generate_series(1, ${ROWS}) i;
  INSERT INTO account SELECT i, i FROM generate_series(1, ${ROWS}) i;`

/** What one step of a workload sends, and how many statements that is. */
type Workload = { readonly statements: number; play(client: pg.Client, id: number): Promise<unknown> }

const FIND_USER = 'SELECT id, email, full_name, city, note FROM users WHERE id = $1'

const WORKLOADS: Readonly<Record<string, Workload>> = {
  'one number by name': {
    statements: 1,
    play: (client, id) =>
      client.query({ name: 'balance', text: 'SELECT balance FROM account WHERE id = $1', values: [id] }),
  },
  'a person by name': {
    statements: 1,
    play: (client, id) => client.query({ name: 'user', text: FIND_USER, values: [id] }),
  },
  'a person, parsed each time': { statements: 1, play: (client, id) => client.query(FIND_USER, [id]) },
  'a person, as a literal': {
    statements: 1,
    play: (client, id) => client.query(`SELECT id, email, note FROM users WHERE email = 'user${id}@example.com'`),
  },
  'ten people': {
    statements: 1,
    play: (client, id) => client.query({ name: 'ten', text: `${FIND_USER} OR id < $2`, values: [id, 10] }),
  },
  'a transaction of five': {
    statements: 5,
    async play(client, id) {
      await client.query('BEGIN')
      await client.query({
        name: 'add',
        text: 'UPDATE account SET balance = balance + $2 WHERE id = $1',
        values: [id, 7],
      })
      await client.query({ name: 'balance', text: 'SELECT balance FROM account WHERE id = $1', values: [id] })
      await client.query({
        name: 'book',
        text: 'INSERT INTO booking (account, delta) VALUES ($1, $2)',
        values: [id, 7],
      })
      await client.query('COMMIT')
    },
  },
}

type Options = {
  readonly only: string | undefined
  readonly statements: number
  readonly passes: number
  readonly json: boolean
}

async function main({ only, statements, passes, json }: Options): Promise<void> {
  const server = await startServer()
  const url = server.url()
  const client = new pg.Client(url)
  await client.connect()
  await client.query(SCHEMA)
  await client.end()
  const target = parseUpstream(url, {})
  const { catalog, server: serverFacts } = await readUpstream(target)
  const key = readKey('00'.repeat(32))
  const facts: RecordingFacts = {
    madeBy: 'pgrehearse bench',
    source: 'proxy',
    startedAtMs: Date.now(),
    server: serverFacts(performance.now()),
    catalog,
    privacy: { policyHash: '', keyFingerprint: '' },
  }
  const results: Record<string, { readonly medianUs: number; readonly leastUs: number }> = {}
  for (const [name, workload] of Object.entries(WORKLOADS)) {
    if (only !== undefined && !name.includes(only)) continue
    const records = await captured(target.upstream, url, workload, statements)
    const masker = await createMasker({ key, policy: POLICY, catalog })
    const costs = Array.from({ length: passes }, () => drained(records, masker, facts)).sort((a, b) => a - b)
    const [leastUs, medianUs] = [costs[0]!, costs[costs.length >> 1]!].map((cost) => Math.round(cost * 10) / 10)
    results[name] = { medianUs: medianUs!, leastUs: leastUs! }
    if (!json) console.log(`${name.padEnd(28)} ${medianUs} µs a statement (least ${leastUs})`)
  }
  const result = { at: new Date().toISOString(), node: process.version, load: loadavg()[0], results }
  console.log(json ? JSON.stringify(result) : `load ${loadavg()[0]!.toFixed(1)}`)
  await server.stop()
}

/** What a tap offers while this is played. */
async function captured(
  upstream: ReturnType<typeof parseUpstream>['upstream'],
  url: string,
  { play, statements: perStep }: Workload,
  statements: number,
): Promise<RingRecord[]> {
  const shared = createRing(RING_BYTES)
  const began = performance.now()
  const tap = new Tap({
    listen: [{ host: '127.0.0.1', port: 0 }],
    upstream,
    limits: TIME_LIMITS,
    chooses: () => true,
    ring: new RingProducer(shared),
    tally: new Tally(createTally()),
    nowUs: () => Math.round((performance.now() - began) * 1000),
    onUpstreamFailed: (error) => {
      throw error
    },
    onBindingRefused: () => {},
  })
  await tap.listen()
  const through = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(tap.port) }).toString()
  const steps = Math.ceil(statements / perStep / SESSIONS)
  await Promise.all(
    Array.from({ length: SESSIONS }, async (_, session) => {
      const client = new pg.Client(through)
      await client.connect()
      for (let step = 0; step < steps; step++) await play(client, 1 + ((session + step * SESSIONS) % ROWS))
      await client.end()
    }),
  )
  while (tap.recording > 0) await new Promise((resolve) => setImmediate(resolve))
  tap.stopListening()
  const records: RingRecord[] = []
  const ring = new RingConsumer(shared)
  for (let record = ring.next(); record !== null; record = ring.next()) {
    records.push({ ...record, payload: Buffer.from(record.payload) })
  }
  return records
}

/** Microseconds of the processor a statement. */
function drained(records: readonly RingRecord[], masker: Masker, facts: RecordingFacts): number {
  const folder = mkdtempSync(join(tmpdir(), 'pgr-bench-'))
  try {
    const began = ownUs()
    const writer = createRecording(join(folder, 'recording'), facts)
    const drain = new Drain(
      writer,
      masker,
      new Tally(createTally()),
      ({ detail }) => failed(detail),
      () => performance.now(),
    )
    for (const record of records) drain.take(record)
    drain.end()
    const { kept } = writer.close(Date.now()).ledger
    return (ownUs() - began) / kept.statements
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function failed(detail: string): never {
  throw new Error(`the drain failed: ${detail}`)
}

const optionOf = (option: string) => {
  const at = process.argv.indexOf(option)
  return at < 0 ? undefined : process.argv[at + 1]
}
await main({
  only: optionOf('--only'),
  statements: Number(optionOf('--statements') ?? 20_000),
  passes: Number(optionOf('--passes') ?? 7),
  json: process.argv.includes('--json'),
})
