/**
 * What a column probably holds: from its name, its type, its comment and a sample of its values.
 */
import type { CatalogColumn } from '../../segment/catalog.js'
import { type Detector, detect } from '../detect.js'
import type { Kind } from '../kinds.js'
import type { TypeFacts } from '../types.js'

/** Seen only in memory; nothing of it is printed. */
export type Sample = {
  readonly values: readonly string[]
  /** A CHECK lists what the column may hold. */
  readonly listed: boolean
  readonly unique: boolean
}

export type Guess = { readonly kind: Kind; readonly why: string }

export const NO_SAMPLE: Sample = { values: [], listed: false, unique: false }

type NameRule = { readonly kind: Kind; readonly pattern: RegExp; readonly types?: readonly TypeFacts['class'][] }

/** First come, first served; matched against the name in snake case, then against the comment. */
const NAMES: readonly NameRule[] = [
  {
    kind: 'redact',
    pattern:
      /(^|_)(passwords?|passwd|pwd|secret|salt|otp|totp|pin)(_|$)|password|(^|_)(api|access|refresh|reset|session)_(key|token)(_|$)/,
  },
  { kind: 'email', pattern: /e_?mail|(^|_)mail(_|$|_?address)/ },
  { kind: 'phone', pattern: /phone|mobile|(^|_)(tel|cell|fax|gsm|msisdn|handy)(_|$)|telefon/ },
  { kind: 'iban', pattern: /(^|_)iban(_|$)/ },
  { kind: 'card', pattern: /card_?(number|no|num)|credit_?card|(^|_)(pan|cc_?num(ber)?)(_|$)/ },
  { kind: 'ip', pattern: /(^|_)(ip|ipv4|ipv6)(_|$)|ip_?addr|remote_addr/ },
  { kind: 'date_shift', pattern: /birth|(^|_)(dob|born)(_|$)|geburt/, types: ['time', 'text'] },
  {
    kind: 'digits',
    pattern:
      /(^|_)(ssn|sin|nin|tin|tax_?(id|no|number)|passport|national_?id|steuer\w*|bsn|cpf|pesel|sozial\w*|postal_?code|postcode|zip(_?code)?|plz|last_?4)(_|$)|_last4$/,
    types: ['text', 'integer', 'number'],
  },
  { kind: 'first_name', pattern: /(first|given|middle|fore|nick)_?name|vorname|prenom/ },
  {
    kind: 'full_name',
    pattern:
      /(full|last|sur|family|display|real|legal|contact|holder|recipient|owner|customer|person|patient|employee|author)_?name|nachname|(^|_)(surname|cardholder)(_|$)/,
  },
  { kind: 'address', pattern: /street|(^|_)(address|addr|address_?line\w*|city|town|strasse|ort)(_|$)|address/ },
]

const PEOPLE =
  /user|customer|person|people|patient|employee|member|contact|client|account|staff|driver|guest|student|author|subscriber|tenant_user/

const CODES =
  /(^|_)(status|state|type|kind|currency|country|locale|lang|language|category|role|level|priority|unit|method|gateway|provider|channel|timezone|color|sku)(_|code|$)/

/** null: the default of the type will do, and nothing is known that speaks for more. */
export function guessKind(
  table: string,
  column: Pick<CatalogColumn, 'name' | 'comment' | 'default'>,
  type: TypeFacts,
  sample: Sample,
): Guess | null {
  const base = type.element ?? type
  const name = snake(column.name)
  if (!['text', 'integer', 'number', 'time', 'uuid', 'network', 'json', 'bytes'].includes(base.class)) return null
  const named =
    byName(name, base) ??
    (base.class === 'text' && /^(name|label)$/.test(name) && PEOPLE.test(snake(table)) ? full() : null)
  if (base.class === 'text' && sample.listed) return { kind: 'keep', why: 'a CHECK lists its values' }
  const seen = base.class === 'text' ? bySample(sample) : null
  if (named !== null && !isDenied(named, sample)) return secretIfUnique(named, sample)
  if (seen !== null) return seen
  const commented = column.comment === '' ? null : byName(snake(column.comment), base)
  if (commented !== null) return { kind: commented.kind, why: 'its comment says so' }
  if (base.class === 'network') return { kind: 'ip', why: `its type` }
  // The server fills the default in as it stands: masked, it would not meet itself.
  if (base.class === 'text' && /^'[^']+'::/.test(column.default ?? ''))
    return { kind: 'keep', why: 'a code: its default is a constant' }
  if (base.class === 'text' && looksLikeCode(name, sample)) return { kind: 'keep', why: codeReason(sample) }
  return null
}

/** `mail_host`, `mail_sent_by`: the name speaks of mail, and no value is an address. */
function isDenied({ kind }: Guess, { values }: Sample): boolean {
  return kind === 'email' && values.length >= VALUES_MIN && !values.some((value) => value.includes('@'))
}

const VALUES_MIN = 5

function full(): Guess {
  return { kind: 'full_name', why: 'a name in a table of people' }
}

function byName(name: string, type: TypeFacts): Guess | null {
  for (const rule of NAMES) {
    const types = rule.types ?? (rule.kind === 'ip' ? ['text', 'network'] : ['text'])
    if (types.includes(type.class) && rule.pattern.test(name)) return { kind: rule.kind, why: 'its name' }
  }
  return null
}

/** Redacted values are all equal: a unique column keeps its values apart as text instead. */
function secretIfUnique(guess: Guess, sample: Sample): Guess {
  return guess.kind === 'redact' && sample.unique
    ? { kind: 'text', why: `${guess.why}; unique, so not redacted` }
    : guess
}

const KIND_OF: Readonly<Record<Detector, Kind>> = {
  email: 'email',
  phone: 'phone',
  card: 'card',
  iban: 'iban',
  ip: 'ip',
  jwt: 'redact',
  key: 'redact',
}
const SHARE_MIN = 0.6

function bySample({ values }: Sample): Guess | null {
  if (values.length === 0) return null
  const counts = new Map<Detector, number>()
  for (const value of values) {
    const [first] = detect(value)
    if (first !== undefined && first.end - first.start >= value.trim().length * 0.8)
      counts.set(first.detector, (counts.get(first.detector) ?? 0) + 1)
  }
  for (const [detector, count] of counts)
    if (count >= values.length * SHARE_MIN)
      return { kind: KIND_OF[detector], why: `${Math.round((100 * count) / values.length)} % of a sample look like it` }
  return null
}

/** Few short words that come again and again, and no detector knows one. */
function looksLikeCode(name: string, { values, unique }: Sample): boolean {
  if (unique) return false
  const different = new Set(values)
  const short = values.every((value) => value.length <= 24 && !/\s\S+\s/.test(value) && detect(value).length === 0)
  if (!short) return false
  if (CODES.test(name)) return different.size <= 50
  return values.length >= 50 && different.size <= 12
}

function codeReason({ values }: Sample): string {
  const different = new Set(values).size
  return values.length === 0
    ? 'its name says a code; no rows to look at'
    : `a code: ${different} different values in a sample of ${values.length}`
}

function snake(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .toLowerCase()
}
