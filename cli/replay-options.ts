/** What `replay` is told on the command line, as typed values; refused before anything is touched. */
import { EXIT, HarnessError } from '../base/errors.js'
import type { Only } from '../replayer/run/only.js'
import type { Speed } from '../replayer/run/pace.js'
import type { ReplayOptions } from '../replayer/run/replay.js'
import { parseDuration } from './units.js'

type FilterFlags = { readonly from?: string; readonly to?: string; readonly only?: readonly string[] }

/** `--from start`: all of the recording, also what the snapshot contains. */
export const FROM_START = 'start'

export function filterOf(flags: FilterFlags, only: Only | null, startedAtMs: number): ReplayOptions['filter'] {
  const from = flags.from === FROM_START ? undefined : flags.from
  const { to } = flags
  if (from === undefined && to === undefined && only === null) return undefined
  const fromUs = from === undefined ? null : momentUs('--from', from, startedAtMs)
  const toUs = to === undefined ? null : momentUs('--to', to, startedAtMs)
  if (fromUs !== null && toUs !== null && fromUs >= toUs) throw wrongOption('--to', to!, 'a moment after --from')
  const words = [
    ...(from === undefined ? [] : [`--from ${from}`]),
    ...(to === undefined ? [] : [`--to ${to}`]),
    ...(flags.only ?? []).map((text) => `--only ${text}`),
  ]
  return { fromUs, toUs, only, words }
}

/** Since the start of the recording, or a date and time of day with its zone. */
function momentUs(option: string, text: string, startedAtMs: number): number {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)) {
    const atMs = Date.parse(text)
    if (!Number.isNaN(atMs)) return Math.max(0, atMs - startedAtMs) * 1000
  }
  if (!/^\d+(\.\d+)?(ms|s|m|h|d)?$/.test(text))
    throw wrongOption(
      option,
      text,
      'a time since the start of the recording like 90s or 10m, or a moment like 2026-01-31T09:30Z',
    )
  return parseDuration(text, option) * 1000
}

export function parseSpeed(text: string): Speed {
  return text === 'max' ? 'max' : positive('--speed', text)
}

/** null: the recorded schedule. */
export function parseThink(text: string, speed: Speed): number | null {
  if (text === 'recorded') return null
  const times = text === 'none' ? 0 : Number(/^[x×]?(\d+(?:\.\d+)?)$/.exec(text)?.[1] ?? Number.NaN)
  if (Number.isNaN(times)) throw wrongOption('--think', text, 'recorded, none, or a multiple like x2')
  if (speed === 'max' && times > 0)
    throw wrongOption('--think', text, 'nothing but none at --speed max, which has no time')
  return times
}

export function positive(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw wrongOption(option, text, 'a number above 0')
  return value
}

export function wholePositive(option: string, text: string): number {
  const value = positive(option, text)
  if (!Number.isInteger(value)) throw wrongOption(option, text, 'a whole number above 0')
  return value
}

export function wrongOption(option: string, text: string, wanted: string): HarnessError {
  return new HarnessError({
    code: 'OPTION_VALUE',
    message: `${option} cannot be "${text}"`,
    detail: `it takes ${wanted}.`,
    exit: EXIT.usage,
  })
}
