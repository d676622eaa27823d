/** Times, sizes and addresses as people write them on a command line. */
import { EXIT, HarnessError } from '../base/errors.js'

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTES = { '': 1, B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 } as const

/** `90s`, `10m`, `1.5h`, `250ms`; a bare number is seconds. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text)
  if (!match) throw wrong(option, text, 'a time like 90s, 10m or 1h')
  return Number(match[1]) * MS[(match[2] ?? 's') as keyof typeof MS]
}

/** `500MB`, `2GB`, a bare number of bytes; units are powers of 1024. */
export function parseBytes(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?B|)$/i.exec(text)
  if (!match) throw wrong(option, text, 'a size like 500MB or 2GB')
  return Math.floor(Number(match[1]) * BYTES[(match[2] ?? '').toUpperCase() as keyof typeof BYTES])
}

/** A whole number above zero. */
export function parseCount(text: string, option: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw wrong(option, text, 'a whole number above zero')
  return Number(text)
}

/** `127.0.0.1:6432`, `[::1]:6432`, `:6432` (this machine only). */
export function parseHostPort(text: string, option: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65535) throw wrong(option, text, 'an address like 127.0.0.1:6432')
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port }
}

function wrong(option: string, text: string, wanted: string): HarnessError {
  return new HarnessError({
    code: 'OPTION_VALUE',
    message: `${option} cannot be "${text}"`,
    detail: `it takes ${wanted}.`,
    exit: EXIT.usage,
  })
}

/** `, 12 min left`, at the pace so far; empty where that says nothing yet: at the beginning, and once more is done than was expected. */
export function timeLeft(done: number, total: number, elapsedMs: number): string {
  if (done <= 0 || done >= total || elapsedMs < 1000) return ''
  const seconds = ((total - done) / done) * (elapsedMs / 1000)
  if (seconds < 90) return `, ${Math.ceil(seconds)} s left`
  return seconds < 90 * 60 ? `, ${Math.round(seconds / 60)} min left` : `, ${(seconds / 3600).toFixed(1)} h left`
}
