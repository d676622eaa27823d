/** Which share is recorded, and when the circuit breaker trips, as written on a command line. */
import { EXIT, HarnessError } from '../base/errors.js'
import { type Choice, EVERYTHING, FILTER_BY, type Filter, type FilterBy } from '../recorder/choice/choice.js'
import { type Thresholds, USUAL_THRESHOLDS, VITAL_NAMES, VITALS, type Vital } from '../recorder/guard/vitals.js'
import { parseBytes, parseDuration } from './units.js'

export type SampleFlags = {
  readonly sample?: string
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  readonly breaker?: readonly string[]
}

const SHARES = {
  sessions: ['sessions'],
  transactions: ['reads', 'writes'],
  reads: ['reads'],
  writes: ['writes'],
} as const satisfies Record<string, readonly (keyof Choice)[]>

export function readChoice({ sample, include = [], exclude = [] }: SampleFlags): Choice {
  return {
    ...EVERYTHING,
    ...(sample === undefined ? {} : parseShares(sample)),
    include: include.map((text) => parseFilter(text, '--include')),
    exclude: exclude.map((text) => parseFilter(text, '--exclude')),
  }
}

/** `10%` is of the sessions; else `sessions=`, `transactions=`, or `reads=` and `writes=`, with commas between. */
function parseShares(text: string): Partial<Choice> {
  const shares: Record<string, number> = {}
  for (const part of text.split(',')) {
    const [name, share] = part.includes('=') ? split(part) : ['sessions', part]
    const of = SHARES[name as keyof typeof SHARES]
    if (of === undefined) throw wrong('--sample', `"${name}" is not one of ${Object.keys(SHARES).join(', ')}.`)
    for (const key of of) shares[key] = parseShare(share, '--sample')
  }
  return shares
}

function parseFilter(text: string, option: string): Filter {
  const [by, pattern] = split(text)
  if (!FILTER_BY.includes(by as FilterBy)) throw wrong(option, `"${by}" is not one of ${FILTER_BY.join(', ')}.`)
  if (pattern === '') throw wrong(option, `"${text}" names nothing behind the =.`)
  return { by: by as FilterBy, pattern }
}

/** The usual thresholds, changed as told: `ring=80%`, `replication-lag=off`, or just `off`. */
export function readThresholds({ breaker = [] }: SampleFlags): Thresholds {
  const thresholds: Partial<Record<Vital, number>> = { ...USUAL_THRESHOLDS }
  for (const text of breaker) {
    const [name, value] = split(text)
    const vitals = text === 'off' ? VITAL_NAMES : VITAL_NAMES.filter((vital) => vital === name)
    if (vitals.length === 0) throw wrong('--breaker', `"${name}" is not one of ${VITAL_NAMES.join(', ')}.`)
    for (const vital of vitals) {
      if (text === 'off' || value === 'off') delete thresholds[vital]
      else thresholds[vital] = parseThreshold(vital, value)
    }
  }
  return thresholds
}

function parseThreshold(vital: Vital, value: string): number {
  const option = `--breaker ${vital}`
  switch (VITALS[vital].unit) {
    case 'share':
      return parseShare(value, option)
    case 'ms':
      return parseDuration(value, option)
    case 'bytes':
      return parseBytes(value, option)
    case 'times': {
      const times = Number(value)
      if (value !== '' && times > 1) return times
      throw wrong(option, `"${value}" is not a number above 1.`)
    }
  }
}

function parseShare(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(text)
  const share = Number(match?.[1]) / 100
  if (!match || share > 1) throw wrong(option, `"${text}" is not a share like 10%.`)
  return share
}

function split(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function wrong(option: string, detail: string): HarnessError {
  return new HarnessError({
    code: 'OPTION_VALUE',
    message: `${option} cannot be used like this`,
    detail,
    hint: 'See the options of `pgrehearse record proxy --help`.',
    exit: EXIT.usage,
  })
}
