/**
 * Errors and notices: what the server quotes of the values is tokenized where the column is known, and dropped where it is not.
 *
 * HINT, CONTEXT and the internal query are never kept: they quote values and help nobody later. What stays is what
 * a comparison needs: code, message, detail, and the names of the objects.
 */
import type { ServerError } from '../segment/outcome.js'
import type { Masks } from './masks/index.js'
import type { ResolvedPolicy } from './policy/columns.js'
import type { Vocabulary } from './vocabulary.js'

/** Fields of an ErrorResponse or NoticeResponse by their letter. */
export type ErrorFields = Readonly<Record<string, string | undefined>>

export type SafeNotice = { readonly severity: string; readonly sqlstate: string; readonly message: string }

export type ErrorMasks = {
  error(fields: ErrorFields): ServerError
  notice(fields: ErrorFields): SafeNotice
}

export function createErrorMasks(masks: Masks, policy: ResolvedPolicy, vocabulary: Vocabulary): ErrorMasks {
  const value = masks.unresolved(null)

  /** `"…"`, `'…'`, `«…»`, `„…“`: names stay, values do not. */
  const quotedParts = (text: string, own: ReadonlySet<string>): string =>
    text.replace(/"((?:[^"]|"")*)("|$)|«([^»]*)»|„([^“]*)“|“([^”]*)”/g, (all: string, ...groups: unknown[]) => {
      const inner = groups.slice(0, 5).find((group, at): group is string => at !== 1 && typeof group === 'string') ?? ''
      if (own.has(inner) || isName(inner, vocabulary)) return all
      return all[0]! + masked(inner) + (/["»“”]$/.test(all) && all.length > 1 ? all.at(-1)! : '')
    })
  const masked = (inner: string): string => {
    // "syntax error at or near" may quote a literal with its quotes.
    const literal = /^'([\s\S]*?)'?$/.exec(inner)
    return literal === null ? value(inner) : inner.replace(literal[1]!, value(literal[1]!))
  }

  const messageOf = (fields: ErrorFields): string => {
    const message = fields.M ?? ''
    const ownWords = isOwn(fields.C ?? '')
    if (!ownWords) return masks.detected(quotedParts(message, namesIn(fields)))
    // RAISE: its words stand in a function's source, what it filled in does not.
    return masks
      .detected(message)
      .replace(/[\p{L}\p{N}_]+(?:[@.+-][\p{L}\p{N}_]+)*/gu, (word) =>
        word
          .split(/(?<=[@.+-])|(?=[@.+-])/)
          .every((part) => vocabulary.inFunctions(part) || vocabulary.knows(part) || /^[@.+-]$|^\d{1,4}$/.test(part))
          ? word
          : token(word, message),
      )
  }
  /** A word that a detector has already replaced is a token and stays. */
  const token = (word: string, message: string): string => (message.includes(word) ? masks.text(word) : word)

  const detailOf = (fields: ErrorFields): string | undefined => {
    const detail = fields.D
    if (detail === undefined) return undefined
    const key = /^(.*?)\((.*?)\)=\((.*)\)(.*)$/s.exec(detail)
    if (key !== null) {
      const [, before = '', names = '', values = '', after = ''] = key
      const shown = keyValues(fields, names, values)
      return shown === null ? undefined : `${before}(${names})=(${shown})${quotedParts(after, namesIn(fields))}`
    }
    // Sentences about objects only: everything they quote is a name, and no number or bracket shows a row.
    if (!/[(:=]/.test(detail) && !isOwn(fields.C ?? '') && allNamed(detail, vocabulary)) return detail
    return undefined
  }

  /** `Key (tenant, email)=(7, a@b.c)`: by the columns of the table; null when they cannot be told apart. */
  const keyValues = (fields: ErrorFields, names: string, values: string): string | null => {
    const table = policy.index.byName(fields.s, fields.t ?? '')
    const columns = splitTopLevel(names)
    const cells = columns.length === 1 ? [values] : splitTopLevel(values)
    if (table === undefined || cells.length !== columns.length) return null
    const shown: string[] = []
    for (let at = 0; at < columns.length; at++) {
      const bare = columns[at]!.replace(/^"|"$/g, '')
      const column =
        table.columns.find((one) => one.name === bare) ??
        table.columns.find((one) => new RegExp(`(^|\\W)${one.name.replace(/\W/g, '\\$&')}(\\W|$)`).test(columns[at]!))
      if (column === undefined) return null
      const mask = masks.cell({ tableOid: table.oid, attnum: column.attnum }, policy.types.of(column.typeOid))
      const cell = cells[at]!
      shown.push(mask === null || cell === 'null' ? cell : mask(cell))
    }
    return shown.join(', ')
  }

  return {
    error(fields) {
      const detail = detailOf(fields)
      const names = {
        schema: fields.s,
        table: fields.t,
        column: fields.c,
        dataType: fields.d,
        constraint: fields.n,
      }
      const known = Object.entries(names).filter(([, name]) => name !== undefined && name !== '')
      return {
        sqlstate: fields.C ?? '',
        message: messageOf(fields),
        ...(detail === undefined ? {} : { detail }),
        ...Object.fromEntries(known),
      }
    },
    notice: (fields) => ({
      severity: fields.V ?? fields.S ?? '',
      sqlstate: fields.C ?? '',
      message: messageOf(fields),
    }),
  }
}

/** The objects an error names in fields of their own: its text may name them too, known to the catalog or not. */
function namesIn(fields: ErrorFields): ReadonlySet<string> {
  return new Set(['s', 't', 'c', 'd', 'n'].flatMap((letter) => fields[letter] ?? []))
}

/** Raised by functions: P0001 and codes that no part of the server uses. */
function isOwn(sqlstate: string): boolean {
  return (
    /^P0/.test(sqlstate) ||
    (/^[5-9I-Z]/.test(sqlstate) && !/^(53|54|55|57|58|72|F0|HV|P0|XX)/.test(sqlstate)) ||
    sqlstate === '00000'
  )
}

function isName(text: string, vocabulary: Vocabulary): boolean {
  if (vocabulary.knows(text)) return true
  // `character varying(32)`, `public.users`, `timestamp with time zone`
  const words = text.match(/[\p{L}_][\p{L}\p{N}_$]*/gu)
  return words !== null && /^[\p{L}\p{N}_$ .,()[\]]+$/u.test(text) && words.every((word) => vocabulary.knows(word))
}

function allNamed(text: string, vocabulary: Vocabulary): boolean {
  return [...text.matchAll(/"([^"]*)"/g)].every((match) => isName(match[1]!, vocabulary)) && !/\d{5,}|@/.test(text)
}

/** At commas outside of brackets. */
function splitTopLevel(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '(') depth += 1
    else if (character === ')') depth -= 1
    else if (character === ',' && depth === 0 && text[at + 1] === ' ') {
      parts.push(text.slice(from, at))
      from = at + 2
    }
  }
  parts.push(text.slice(from))
  return parts
}
