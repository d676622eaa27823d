/**
 * `--inject AT:WHAT`: when. A time since the start of the replay, a share of its statements, or one statement of the recording.
 */
import { EXIT, HarnessError } from '../../../base/errors.js'

export type Moment =
  | { readonly kind: 'time'; readonly afterMs: number }
  /** Of the statements that are sent, 0 to 1. */
  | { readonly kind: 'share'; readonly share: number }
  /** When this statement has completed. */
  | { readonly kind: 'statement'; readonly seq: number }

export type Asked = { readonly at: string; readonly moment: Moment; readonly what: string }

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

export function parseInjection(text: string): Asked {
  const [, at = '', what = ''] = /^([^:]*):(.+)$/s.exec(text) ?? []
  const moment = momentOf(at)
  if (moment !== null && what.trim() !== '') return { at, moment, what: what.trim() }
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: `--inject cannot be "${text}"`,
    detail:
      'it takes AT:FILE.sql or AT:COMMAND, where AT is a time since the start of the replay (30s, 5m), a share of its statements (50%), or a statement (#4711).',
    exit: EXIT.usage,
  })
}

function momentOf(text: string): Moment | null {
  const time = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  if (time) return { kind: 'time', afterMs: Number(time[1]) * MS[time[2] as keyof typeof MS] }
  const share = /^(\d+(?:\.\d+)?)%$/.exec(text)
  if (share && Number(share[1]) <= 100) return { kind: 'share', share: Number(share[1]) / 100 }
  const seq = /^#(\d{1,15})$/.exec(text)
  return seq ? { kind: 'statement', seq: Number(seq[1]) } : null
}
