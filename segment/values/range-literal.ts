/**
 * Range literals: `empty`, `[1,5)`, `(,"2026-01-01 00:00:00+00"]`, and multiranges `{[1,3),[5,9)}`. Bounds are rewritten one by one.
 */
import { readLiteralField } from './literal-field.js'

const BOUND_ENDS = ',)]'

/** Rewrites each finite bound; undefined when the text is no range as range_out writes it. */
export function mapRangeLiteral(text: string, map: (bound: string) => string): string | undefined {
  if (text === 'empty') return text
  const found = readRange(text, 0)
  return found !== undefined && found.end === text.length ? rangeText(found, map) : undefined
}

export function mapMultirangeLiteral(text: string, map: (bound: string) => string): string | undefined {
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined
  const ranges: string[] = []
  let at = 1
  while (text[at] !== '}') {
    const found = readRange(text, at)
    if (found === undefined) return undefined
    ranges.push(rangeText(found, map))
    at = found.end
    if (text[at] === ',') at += 1
    else if (text[at] !== '}') return undefined
  }
  return at === text.length - 1 ? `{${ranges.join(',')}}` : undefined
}

type Range = {
  readonly open: string
  readonly lower: string | null
  readonly upper: string | null
  readonly close: string
  readonly end: number
}

function readRange(text: string, from: number): Range | undefined {
  const open = text[from]
  if (open !== '[' && open !== '(') return undefined
  const lower = readLiteralField(text, from + 1, BOUND_ENDS)
  if (lower === undefined || text[lower.end] !== ',') return undefined
  const upper = readLiteralField(text, lower.end + 1, BOUND_ENDS)
  const close = upper === undefined ? undefined : text[upper.end]
  if (upper === undefined || (close !== ']' && close !== ')')) return undefined
  return { open, lower: lower.value, upper: upper.value, close, end: upper.end + 1 }
}

function rangeText({ open, lower, upper, close }: Range, map: (bound: string) => string): string {
  const bound = (value: string | null) => (value === null ? '' : quoteBound(map(value)))
  return `${open}${bound(lower)},${bound(upper)}${close}`
}

/** As range_out writes a bound. */
export function quoteBound(bound: string): string {
  if (bound !== '' && !/["\\()[\],\s]/.test(bound)) return bound
  return `"${bound.replace(/["\\]/g, '$&$&')}"`
}
