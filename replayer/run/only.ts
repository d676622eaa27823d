/**
 * `--only KEY=VALUE`: which statements a person wants replayed. Values of one key are alternatives, keys have to hold together.
 */
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Session } from '../../segment/statement.js'
import { type Nature, STATEMENT_CLASSES } from '../../sql/nature.js'

const KEYS = ['fingerprint', 'session', 'table', 'user', 'class'] as const
type Key = (typeof KEYS)[number]

export type Only = { readonly [K in Key]?: ReadonlySet<string> }

/** Besides the classes themselves. */
const READS = 'read'
const WRITES = 'write'

export function parseOnly(texts: readonly string[]): Only {
  const only: { [K in Key]?: Set<string> } = {}
  for (const text of texts) {
    const [, name = '', list = ''] = /^([a-z]+)=(.*)$/s.exec(text) ?? []
    const key = KEYS.find((known) => known === name)
    const values = list.split(',').map((value) => value.trim())
    if (key === undefined || values.includes(''))
      throw wrong(text, `KEY=VALUE[,VALUE], where KEY is ${KEYS.join(', ')}`)
    for (const value of values) {
      refuse(text, key, value)
      only[key] = (only[key] ?? new Set()).add(key === 'fingerprint' ? value.toLowerCase() : value)
    }
  }
  return only
}

function refuse(text: string, key: Key, value: string): void {
  if (key === 'session' && !/^\d+$/.test(value)) throw wrong(text, 'the numbers of sessions, as `inspect` shows them')
  if (key === 'fingerprint' && !/^[0-9a-fA-F]{4,16}$/.test(value))
    throw wrong(text, 'fingerprints: 16 hex digits as reports show them, or the first of them (four at least)')
  const classes = [READS, WRITES, ...STATEMENT_CLASSES]
  if (key === 'class' && !classes.includes(value)) throw wrong(text, `classes of statements: ${classes.join(', ')}`)
}

/** Of a session, before any of its statements is looked at. */
export function allowsSession({ session, user }: Only, one: Pick<Session, 'session' | 'user'>): boolean {
  return (session?.has(String(one.session)) ?? true) && (user?.has(one.user) ?? true)
}

/** Of a text, whoever sends it. */
export function allowsText(only: Only, nature: Nature, fingerprint: () => string): boolean {
  if (only.class !== undefined && ![...only.class].some((wanted) => isOf(nature, wanted))) return false
  if (only.table !== undefined && !nature.tables.some((table) => names(only.table!, table))) return false
  if (only.fingerprint === undefined) return true
  const own = fingerprint()
  return own !== '' && [...only.fingerprint].some((wanted) => own.startsWith(wanted))
}

function isOf({ classes, writes }: Nature, wanted: string): boolean {
  if (wanted === WRITES) return writes
  if (wanted === READS) return !writes && classes.some((one) => one === 'select' || one === 'copy')
  return classes.some((one) => one === wanted)
}

/** `orders` is any table of that name; `shop.orders` also the one that a text calls `orders`. */
function names(wanted: ReadonlySet<string>, table: string): boolean {
  const [schema, name] = table.includes('.') ? table.split('.', 2) : [null, table]
  for (const want of wanted) {
    const [wantSchema, wantName] = want.includes('.') ? want.split('.', 2) : [null, want]
    if (wantName === name && (schema === null || wantSchema === null || schema === wantSchema)) return true
  }
  return false
}

function wrong(text: string, wanted: string): HarnessError {
  return new HarnessError({
    code: 'OPTION_VALUE',
    message: `--only cannot be "${text}"`,
    detail: `it takes ${wanted}.`,
    exit: EXIT.usage,
  })
}
