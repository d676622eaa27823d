import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as backend from '../../wire/backend.js'
import { bindParameters, buildBindRest, type Format, splitBind, spreadFormats } from '../../wire/bind.js'
import { MessageWriter } from '../../wire/bytes.js'
import * as frontend from '../../wire/frontend.js'
import { buildCancel, buildSslRequest, buildStartup, readStartup } from '../../wire/startup.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('frontend messages, byte for byte', () => {
  test.each([
    { name: 'Query', bytes: frontend.buildQuery('é'), expected: '51 00000007 c3a9 00' },
    { name: 'Parse', bytes: frontend.buildParse('s', 'x', [23]), expected: '50 0000000e 7300 7800 0001 00000017' },
    {
      name: 'Bind',
      bytes: frontend.buildBind('', 's', buildBindRest(['a', null], [0], [1])),
      expected: '42 0000001a 00 7300 0001 0000 0002 00000001 61 ffffffff 0001 0001',
    },
    { name: 'Describe', bytes: frontend.buildDescribe('P', ''), expected: '44 00000006 50 00' },
    { name: 'Execute', bytes: frontend.buildExecute('', 5), expected: '45 00000009 00 00000005' },
    { name: 'Close', bytes: frontend.buildClose('S', 's'), expected: '43 00000007 53 7300' },
    { name: 'Flush', bytes: frontend.buildFlush(), expected: '48 00000004' },
    { name: 'Sync', bytes: frontend.buildSync(), expected: '53 00000004' },
    { name: 'CopyData', bytes: frontend.buildCopyData(Buffer.from('ab')), expected: '64 00000006 6162' },
    { name: 'CopyDone', bytes: frontend.buildCopyDone(), expected: '63 00000004' },
    { name: 'CopyFail', bytes: frontend.buildCopyFail('no'), expected: '66 00000007 6e6f00' },
    { name: 'Terminate', bytes: frontend.buildTerminate(), expected: '58 00000004' },
    { name: 'SSLRequest', bytes: buildSslRequest(), expected: '00000008 04d2162f' },
    {
      name: 'CancelRequest',
      bytes: buildCancel(7, Buffer.from('abcd')),
      expected: '00000010 04d2162e 00000007 61626364',
    },
    {
      name: 'StartupMessage 3.2',
      bytes: buildStartup({ user: 'u' }, 3, 2),
      expected: '00000010 00030002 7573657200 7500 00',
    },
  ])('$name', ({ bytes, expected }) => expect(hex(bytes)).toBe(expected.replaceAll(' ', '')))
})

describe('startup phase', () => {
  test('reads what it writes', () => {
    const startup = buildStartup({ user: 'ann', database: 'shop' })
    expect(readStartup(startup)).toEqual({
      kind: 'packet',
      end: startup.length,
      packet: { kind: 'startup', major: 3, minor: 0, parameters: { user: 'ann', database: 'shop' } },
    })
    expect(readStartup(buildSslRequest())).toMatchObject({ packet: { kind: 'ssl' } })
  })

  test('a cancel key of protocol 3.2 keeps its length', () => {
    const key = Buffer.alloc(256, 7)
    const step = readStartup(buildCancel(42, key))
    expect(step.kind === 'packet' && step.packet).toEqual({ kind: 'cancel', backendPid: 42, key: new Uint8Array(key) })
  })

  test.each([
    { name: 'nothing yet', bytes: [], step: { kind: 'more' } },
    { name: 'half a length', bytes: [0, 0], step: { kind: 'more' } },
    { name: 'a TLS ClientHello', bytes: [0x16, 3, 1, 2, 0], step: { kind: 'foreign', directTls: true } },
    { name: 'HTTP', bytes: [...Buffer.from('GET / HTTP/1.1')], step: { kind: 'foreign', directTls: false } },
    {
      name: 'a length beyond any startup',
      bytes: [0, 1, 0, 0, 0, 3, 0, 0],
      step: { kind: 'foreign', directTls: false },
    },
    {
      name: 'parameters without an end',
      bytes: [0, 0, 0, 10, 0, 3, 0, 0, 117, 115],
      step: { kind: 'foreign', directTls: false },
    },
  ])('$name', ({ bytes, step }) => expect(readStartup(Uint8Array.from(bytes))).toEqual(step))
})

describe('Bind', () => {
  const format = fc.constantFrom<Format>(0, 1)
  const value = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null })

  test('comes apart as it was put together', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(value, format)), fc.array(format), fc.string(), (pairs, resultFormats, name) => {
        fc.pre(!name.includes('\0'))
        const values = pairs.map(([bytes]) => bytes)
        const formats = pairs.map(([, each]) => each)
        const message = frontend.buildBind('p', name, buildBindRest(values, formats, resultFormats))
        const names = splitBind(message, 5, message.length)!
        expect(names).toMatchObject({ portal: 'p', name: Buffer.from(name).toString() })
        const parameters = bindParameters(message.subarray(names.restStart))!
        expect(parameters.values.map((each) => each && hex(each))).toEqual(values.map((each) => each && hex(each)))
        expect(parameters.formats).toEqual(formats)
        expect(parameters.resultFormats).toEqual(resultFormats)
      }),
    )
  })

  test('one format stands for all values, none for text', () => {
    expect(spreadFormats([1], 3)).toEqual([1, 1, 1])
    expect(spreadFormats([], 2)).toEqual([0, 0])
  })

  test('more than 32767 parameters are read as such', () => {
    const rest = buildBindRest(Array.from({ length: 65535 }, () => null))
    expect(bindParameters(rest)?.values).toHaveLength(65535)
  })
})

describe('backend messages', () => {
  const body = (write: (writer: MessageWriter) => MessageWriter) => {
    const bytes = write(new MessageWriter()).bytes()
    return [bytes, 0, bytes.length] as const
  }

  test('RowDescription', () => {
    const one = body((w) => w.int16(1).string('id').int32(16400).int16(-1).int32(23).int16(4).int32(-1).int16(1))
    expect(backend.decodeRowDescription(...one)).toEqual([
      { name: 'id', tableOid: 16400, attnum: -1, typeOid: 23, typmod: -1, format: 1 },
    ])
  })

  test('DataRow cells, NULL and empty told apart', () => {
    const cells: string[] = []
    const row = body((w) => w.int16(3).counted('ab').counted(null).counted(''))
    const whole = backend.eachCell(...row, (column, start, end) =>
      cells.push(start < 0 ? `${column} null` : `${column} ${row[0].toString('utf8', start, end)}`),
    )
    expect(whole).toBe(true)
    expect(cells).toEqual(['0 ab', '1 null', '2 '])
  })

  test('ErrorResponse', () => {
    const error = body((w) => w.raw(Buffer.from('SERROR\0C23505\0Mduplicate\0\0')))
    expect(backend.decodeFields(...error)).toEqual({ S: 'ERROR', C: '23505', M: 'duplicate' })
  })

  test('the small ones', () => {
    expect(backend.decodeTag(...body((w) => w.string('INSERT 0 3')))).toBe('INSERT 0 3')
    expect(backend.decodeParameterStatus(...body((w) => w.string('TimeZone').string('UTC')))).toEqual({
      name: 'TimeZone',
      value: 'UTC',
    })
    expect(backend.decodeBackendPid(...body((w) => w.int32(99).raw(Buffer.alloc(256))))).toBe(99)
    expect(backend.decodeStatus(...body((w) => w.raw(Buffer.from('E'))))).toBe('E')
    expect(backend.decodeParameterTypes(...body((w) => w.int16(2).int32(23).int32(25)))).toEqual([23, 25])
    expect(backend.decodeNotification(...body((w) => w.int32(5).string('ch').string('hello')))).toEqual({
      backendPid: 5,
      channel: 'ch',
      payload: 'hello',
    })
    expect(backend.decodeCopyShape(...body((w) => w.int8(1).int16(2).int16(1).int16(1)))).toEqual({
      format: 1,
      columns: 2,
    })
  })

  test.each([
    { tag: 'INSERT 0 12', rows: 12 },
    { tag: 'SELECT 3', rows: 3 },
    { tag: 'COPY 7', rows: 7 },
    { tag: 'CREATE TABLE', rows: 0 },
    { tag: '', rows: 0 },
  ])('$tag counts $rows rows', ({ tag, rows }) => expect(backend.tagRowCount(tag)).toBe(rows))
})

test('no decoder throws or leaves its message, whatever the bytes', () => {
  const decoders = [
    frontend.decodeString,
    frontend.decodeParse,
    frontend.decodeTarget,
    frontend.decodeExecute,
    splitBind,
    backend.decodeRowDescription,
    backend.decodeTag,
    backend.decodeFields,
    backend.decodeParameterStatus,
    backend.decodeBackendPid,
    backend.decodeStatus,
    backend.decodeParameterTypes,
    backend.decodeNotification,
    backend.decodeCopyShape,
    backend.decodeAuthentication,
  ]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.nat(60), (bytes, a, b) => {
      const start = Math.min(a, b, bytes.length)
      const end = Math.min(Math.max(a, b), bytes.length)
      for (const decode of decoders) decode(bytes, start, end)
      backend.eachCell(bytes, start, end, (_column, from, to) => {
        expect(from < 0 || (from >= start && to <= end)).toBe(true)
      })
      bindParameters(bytes.subarray(start, end))
      readStartup(bytes)
    }),
    { numRuns: 2000 },
  )
})
