/**
 * PostgreSQL's text of a value to its binary form, for the types that masking changes. undefined: not one of these, or no value of it.
 */
import { daysOf } from './calendar.js'
import { OID } from './oids.js'

type Encoder = (text: string) => Buffer | undefined

const utf8: Encoder = (text) => Buffer.from(text, 'utf8')

/** 2000-01-01, in days since 1970-01-01. */
const EPOCH_DAYS = 10_957

const ENCODERS: ReadonlyMap<number, Encoder> = new Map<number, Encoder>([
  ...[OID.text, OID.varchar, OID.bpchar, OID.name, OID.json, OID.xml].map((oid): [number, Encoder] => [oid, utf8]),
  // The version of the format, then its text.
  [OID.jsonb, (text) => Buffer.concat([Buffer.of(1), Buffer.from(text, 'utf8')])],
  [OID.bytea, (text) => (/^\\x(?:[0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), 'hex') : undefined)],
  [OID.uuid, (text) => (/^[0-9a-f-]{36}$/i.test(text) ? Buffer.from(text.replaceAll('-', ''), 'hex') : undefined)],
  [OID.bool, (text) => (text === 't' || text === 'f' ? Buffer.of(text === 't' ? 1 : 0) : undefined)],
  [OID.int2, integer(2)],
  [OID.int4, integer(4)],
  [OID.int8, integer(8)],
  [OID.date, date],
])

export function textToBinary(typeOid: number, text: string): Buffer | undefined {
  return ENCODERS.get(typeOid)?.(text)
}

function integer(bytes: 2 | 4 | 8): Encoder {
  const max = 1n << BigInt(bytes * 8 - 1)
  return (text) => {
    if (!/^-?\d{1,19}$/.test(text)) return undefined
    const value = BigInt(text)
    if (value >= max || value < -max) return undefined
    const wide = Buffer.alloc(8)
    wide.writeBigInt64BE(value)
    return wide.subarray(8 - bytes)
  }
}

function date(text: string): Buffer | undefined {
  const match = /^(\d{4,7})-(\d\d)-(\d\d)$/.exec(text)
  if (match === null) return undefined
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number]
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(daysOf({ year, month, day }) - EPOCH_DAYS)
  return bytes
}
