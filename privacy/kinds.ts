/**
 * The kinds of personal value, and how each becomes a token: the words a policy may use.
 */
export const KINDS = [
  'keep',
  'email',
  'full_name',
  'first_name',
  'phone',
  'address',
  'iban',
  'card',
  'ip',
  'uuid',
  'digits',
  'date_shift',
  'text',
  'json',
  'redact',
] as const

export type Kind = (typeof KINDS)[number]

/** Kinds that work on a single value; `json` works on the values inside, `keep` on none. */
export type TokenKind = Exclude<Kind, 'keep' | 'json'>

export function isKind(word: string): word is Kind {
  return (KINDS as readonly string[]).includes(word)
}

/** Tokens of these kinds sort as the values did, so ranges and ORDER BY mean the same. */
export const KEEPS_ORDER: ReadonlySet<Kind> = new Set(['keep', 'date_shift'])

/** Tokens of these kinds ignore case: `lower(email)` of a token is the token of `lower(email)`. */
export const FOLDS_CASE: ReadonlySet<Kind> = new Set(['keep', 'email'])
