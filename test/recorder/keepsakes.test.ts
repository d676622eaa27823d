import { describe, expect, test } from 'vitest'
import { MissingState } from '../../recorder/drain/missing-state.js'
import { Keepsakes } from '../../recorder/tap/keepsakes.js'
import type { Note } from '../../recorder/tap/session-doings.js'
import { Framer } from '../../wire/framer.js'
import { buildClose, buildExecute, buildParse, buildQuery, buildSync } from '../../wire/frontend.js'

/** What is kept of a session in which each of these requests was sent, and answered as it says. */
function keptOf(
  ...requests: readonly { send: Buffer; error?: boolean; rollback?: boolean; status?: string }[]
): string[] {
  const keepsakes = new Keepsakes()
  for (const { send, error = false, rollback = false, status = 'I' } of requests) {
    sendAll(keepsakes, send)
    if (error) keepsakes.failed()
    if (rollback) keepsakes.rolledBack()
    keepsakes.ready(status === 'I', true)
  }
  return told(keepsakes)
}

function sendAll(keepsakes: Keepsakes, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    keepsakes.client(bytes[at]!, bytes, at, end)
    at = end
  }
}

/** `Q text`, `P name`, `C name`, `? what name`. */
function told(keepsakes: Keepsakes): string[] {
  const all: string[] = []
  new Framer({
    message: (type, buffer, start, end) => {
      const letter = String.fromCharCode(type)
      if (letter === '?') {
        all.push(`? ${buffer.toString('utf8', start, end).replaceAll('\0', ' ').trim()}`)
        return
      }
      all.push(`${letter} ${buffer.toString('utf8', letter === 'C' ? start + 1 : start, end).split('\0')[0]}`)
    },
    part: () => {},
    malformed: () => {},
  }).push(Buffer.from(keepsakes.bytes()))
  return all
}

const query = (sql: string) => ({ send: buildQuery(sql) })
const parse = (name: string, sql: string) => ({ send: Buffer.concat([buildParse(name, sql), buildSync()]) })

test.each([
  { name: 'a setting', sent: [query('SET work_mem = 1')], kept: ['Q SET work_mem = 1'] },
  { name: 'behind a comment', sent: [query('/* app */ set x = 1')], kept: ['Q /* app */ set x = 1'] },
  {
    name: 'the last of the same',
    sent: [query('SET a = 1'), query('SET b = 1'), query('SET a = 1')],
    kept: ['Q SET b = 1', 'Q SET a = 1'],
  },
  { name: 'not for the transaction', sent: [query('SET LOCAL a = 1'), query('SET TRANSACTION READ ONLY')], kept: [] },
  {
    name: 'nothing else',
    sent: [query('SELECT 1'), query('SETTLE'), query('UPDATE t SET a = 1'), parse('', 'SELECT 1')],
    kept: [],
  },
  {
    name: 'through the extended protocol',
    sent: [{ send: Buffer.concat([buildParse('', 'SET a = 1'), buildExecute(''), buildSync()]) }],
    kept: ['Q SET a = 1'],
  },
  {
    name: 'RESET ALL ends settings',
    sent: [query('SET a = 1'), parse('p', 'x'), query('RESET ALL')],
    kept: ['P p', 'Q RESET ALL'],
  },
  {
    name: 'DISCARD ALL ends all',
    sent: [query('SET a = 1'), parse('p', 'x'), query('DISCARD ALL'), query('SET b = 1')],
    kept: ['Q DISCARD ALL', 'Q SET b = 1'],
  },
  {
    name: 'what is prepared',
    sent: [parse('p', 'x'), query('PREPARE q AS SELECT 1')],
    kept: ['P p', 'Q PREPARE q AS SELECT 1'],
  },
  {
    name: 'what is closed',
    sent: [parse('p', 'x'), { send: Buffer.concat([buildClose('S', 'p'), buildSync()]) }],
    kept: ['C p'],
  },
  {
    name: 'what is deallocated, as the message',
    sent: [query('PREPARE "Q" AS SELECT 1'), query('DEALLOCATE PREPARE "Q"')],
    kept: ['C Q'],
  },
  { name: 'names are folded as the server does it', sent: [parse('p', 'x'), query('DEALLOCATE P')], kept: ['C p'] },
  {
    name: 'DEALLOCATE ALL',
    sent: [parse('p', 'x'), query('SET a = 1'), query('DEALLOCATE ALL')],
    kept: ['Q SET a = 1', 'Q DEALLOCATE ALL'],
  },
  {
    name: 'a channel that is listened to, until it is not',
    sent: [query('LISTEN news'), query('listen "More"'), query('UNLISTEN NEWS')],
    kept: ['Q listen "More"', 'Q UNLISTEN NEWS'],
  },
  {
    name: 'UNLISTEN of all',
    sent: [query('LISTEN a'), query('LISTEN b'), query('UNLISTEN *'), query('LISTEN c')],
    kept: ['Q UNLISTEN *', 'Q LISTEN c'],
  },
  { name: 'UPDATE is not UNLISTEN', sent: [query('UPDATE t SET a = 1')], kept: [] },
])('$name', ({ sent, kept }) => expect(keptOf(...sent)).toEqual(kept))

describe('what cannot be done again is noted', () => {
  test.each([
    { name: 'a temporary table', sent: ['CREATE TEMP TABLE Basket (id int)'], kept: ['? temporary basket'] },
    {
      name: 'in other words',
      sent: ['create local temporary table if not exists "B" AS SELECT 1'],
      kept: ['? temporary B'],
    },
    { name: 'by SELECT INTO', sent: ['SELECT 1 AS a INTO TEMP one'], kept: ['? temporary one'] },
    {
      name: 'a view, a sequence',
      sent: ['CREATE TEMP VIEW v AS SELECT 1', 'CREATE TEMP SEQUENCE s'],
      kept: ['? temporary v', '? temporary s'],
    },
    {
      name: 'dropped again',
      sent: ['CREATE TEMP TABLE a ()', 'CREATE TEMP TABLE b ()', 'DROP TABLE IF EXISTS A'],
      kept: ['? temporary b'],
    },
    { name: 'all discarded', sent: ['CREATE TEMP TABLE a ()', 'DISCARD TEMP'], kept: [] },
    { name: 'a table that ends with its transaction', sent: ['CREATE TEMP TABLE a () ON COMMIT DROP'], kept: [] },
    { name: 'a table that is none', sent: ['CREATE TABLE temp ()', 'CREATE TABLE a ()'], kept: [] },
    {
      name: 'a cursor that outlives its transaction',
      sent: ['DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 1'],
      kept: ['? cursor c'],
    },
    {
      name: 'one that does not',
      sent: ['DECLARE c CURSOR FOR SELECT 1', 'DECLARE d CURSOR WITHOUT HOLD FOR SELECT 1'],
      kept: [],
    },
    { name: 'closed again', sent: ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c'], kept: [] },
    {
      name: 'a lock of the session',
      sent: ['SELECT pg_try_advisory_lock($1)', 'SELECT pg_advisory_lock(7)'],
      kept: ['? lock'],
    },
    { name: 'a lock of the transaction', sent: ['SELECT pg_advisory_xact_lock(1)'], kept: [] },
    { name: 'all locks released', sent: ['SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_unlock_all()'], kept: [] },
    { name: 'set_config()', sent: [`SELECT set_config('a.b', $1, false)`], kept: ['? function'] },
    { name: 'set_config() for the transaction', sent: [`SELECT set_config('a.b', $1, true)`], kept: [] },
    {
      name: 'set_config() taken back',
      sent: [`SELECT set_config('a.b', 'x', false)`, 'RESET ALL'],
      kept: ['Q RESET ALL'],
    },
    { name: 'among others, first', sent: ['SET a = 1; SELECT 1'], kept: ['? several'] },
    { name: 'among others, later', sent: ['INSERT INTO t VALUES (1);\n LISTEN news'], kept: ['? several'] },
    {
      name: 'others that change nothing',
      sent: ['BEGIN; SET LOCAL a = 1; UPDATE t SET b = 1; COMMIT;', 'SET a = 1 ;  '],
      kept: ['Q SET a = 1 ;  '],
    },
    {
      name: 'everything over',
      sent: ['CREATE TEMP TABLE a ()', 'SELECT pg_advisory_lock(1)', 'LISTEN x', 'DISCARD ALL'],
      kept: ['Q DISCARD ALL'],
    },
  ])('$name', ({ sent, kept }) => expect(keptOf(...sent.map(query))).toEqual(kept))

  test('and is not, where it was undone', () => {
    const sent = [
      { ...query('BEGIN'), status: 'T' },
      { ...query('CREATE TEMP TABLE a ()'), status: 'T' },
      { ...query('LISTEN a'), status: 'T' },
      { ...query('SELECT pg_advisory_lock(1)'), status: 'T' },
      { ...query('ROLLBACK'), rollback: true },
    ]
    expect(keptOf(...sent)).toEqual(['? lock'])
  })

  test('what one session says of itself is taken over by another, notes and all', () => {
    const [one, other] = [new Keepsakes(), new Keepsakes()]
    for (const { send } of [query('CREATE TEMP TABLE a ()'), query('SET b = 1'), parse('p', 'x')]) {
      sendAll(one, send)
      one.ready(true, true)
    }
    other.adopt(one.bytes())
    expect(told(other)).toEqual(told(one))
    expect(told(other)).toEqual(['? temporary a', 'Q SET b = 1', 'P p'])
  })
})

describe('what is asked of something that is missing', () => {
  const missing = (...notes: Note[]) => {
    const state = new MissingState()
    for (const note of notes) state.add(note)
    return (sql: string, worked = true) => state.reasonFor(sql, worked)
  }
  const BASKET = { what: 'temporary', name: 'basket' } as const
  const TABLE = 'its temporary table was made while nothing was recorded'

  test('is told by its name, until it is made anew', () => {
    const reason = missing(BASKET, { what: 'cursor', name: 'c' })
    expect(reason('SELECT * FROM Basket')).toBe(TABLE)
    expect(reason('INSERT INTO pg_temp."basket" VALUES (1)')).toBe(TABLE)
    expect(reason('FETCH 5 FROM c')).toBe('its cursor was opened while nothing was recorded')
    expect(reason('SELECT * FROM basket_items, c2')).toBeNull()
    expect(reason('CREATE TEMP TABLE IF NOT EXISTS basket ()')).toBe(TABLE)
    expect(reason('CREATE TEMP TABLE basket ()', false)).toBe(TABLE)
    expect(reason('CREATE TEMP TABLE basket ()')).toBeNull()
    expect(reason('SELECT * FROM basket')).toBeNull()
  })

  test('or gone', () => {
    const reason = missing(BASKET)
    expect(reason('DROP TABLE basket')).toBe(TABLE)
    expect(reason('CREATE TABLE basket ()')).toBeNull()
    const all = missing(BASKET)
    expect(all('DISCARD ALL')).toBeNull()
    expect(all('SELECT * FROM basket')).toBeNull()
  })
})

describe('what did not happen is not kept', () => {
  test('an error', () => {
    expect(keptOf({ ...query('SET nonsense = 1'), error: true }, query('SET a = 1'))).toEqual(['Q SET a = 1'])
  })

  test('a rollback undoes settings, and leaves prepared statements', () => {
    const sent = [
      { ...query('BEGIN'), status: 'T' },
      { ...query('SET a = 1'), status: 'T' },
      { ...parse('p', 'x'), status: 'T' },
      { ...query('ROLLBACK'), rollback: true },
    ]
    expect(keptOf(...sent)).toEqual(['P p'])
  })

  test('an error is that of its own request, not of those sent behind it', () => {
    const keepsakes = new Keepsakes()
    sendAll(keepsakes, Buffer.concat([buildQuery('SET a = 1'), buildQuery('SET b = 1')]))
    keepsakes.failed()
    keepsakes.ready(true, false)
    keepsakes.ready(true, true)
    expect(told(keepsakes)).toEqual(['Q SET b = 1'])
  })

  test('answers to what came before are not taken for answers to this', () => {
    const keepsakes = new Keepsakes()
    keepsakes.begin(1)
    sendAll(keepsakes, buildQuery('SET a = 1'))
    keepsakes.failed()
    keepsakes.ready(true, false)
    expect(told(keepsakes)).toEqual([])
    keepsakes.ready(true, true)
    expect(told(keepsakes)).toEqual(['Q SET a = 1'])
  })
})

describe('bounded', () => {
  test('a session that does the same again and again costs nothing more', () => {
    const again = Array.from({ length: 500 }, (_, i) => [
      parse(`p${i}`, 'x'.repeat(1000)),
      query(`DEALLOCATE p${i}`),
      query('DISCARD ALL'),
    ])
    expect(keptOf(...again.flat())).toEqual(['Q DISCARD ALL'])
  })

  test('what is too much is said to be incomplete', () => {
    const keepsakes = new Keepsakes()
    for (let i = 0; i < 300; i++) {
      sendAll(keepsakes, parse(`p${i}`, 'x'.repeat(1000)).send)
      keepsakes.ready(true, true)
    }
    expect(keepsakes.incomplete).toBe(true)
    expect(keepsakes.bytes().length).toBeLessThan(256 * 1024)
  })
})
