import { describe, expect, test } from 'vitest'
import { Keepsakes } from '../../recorder/tap/keepsakes.js'
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

/** `Q text`, `P name`, `C name`. */
function told(keepsakes: Keepsakes): string[] {
  const all: string[] = []
  new Framer({
    message: (type, buffer, start, end) => {
      const letter = String.fromCharCode(type)
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
])('$name', ({ sent, kept }) => expect(keptOf(...sent)).toEqual(kept))

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
