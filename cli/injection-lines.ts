/** What was injected into a replay, in words: how it went, what it held, whom it held up, and the latency around it. */
import type { Injection, InjectionWait, LatencyStretch } from '../segment/run.js'

const SHOWN_MAX = 5

export function injectionLines(injection: Injection): string[] {
  const { at, what, outcome, error, startedUs, endedUs, locks, heldUp, waitedFor, latency, statements } = injection
  const line = error?.line == null ? '' : ` at line ${error.line}`
  const how =
    startedUs === null || endedUs === null
      ? 'its moment did not come'
      : `${outcome}${line} after ${time(endedUs - startedUs)}`
  const lines = [`  injected  ${what} at ${at}: ${how}`]
  if (error !== null) lines.push(`              ${error.message}`)
  const slowest = [...statements].sort((a, b) => b.us - a.us)[0]
  if (slowest !== undefined && statements.length > 1)
    lines.push(`              slowest statement: line ${slowest.line}, ${time(slowest.us)}`)
  for (const { relation, mode, seenUs } of locks.slice(0, SHOWN_MAX))
    lines.push(`              held ${mode} on ${relation} for ${time(seenUs)}`)
  if (locks.length > SHOWN_MAX) lines.push(`              and ${locks.length - SHOWN_MAX} more locks`)
  if (waitedFor.length > 0) lines.push(`              it waited for ${waits(waitedFor)}`)
  if (heldUp.length > 0) lines.push(`              it held up ${waits(heldUp)}`)
  if (latency !== null) {
    const { before, during, after } = latency
    lines.push(`              p95 of statements: ${p95(before)} before, ${p95(during)} while, ${p95(after)} after`)
  }
  return lines
}

function waits(all: readonly InjectionWait[]): string {
  const total = all.reduce((sum, { totalUs }) => sum + totalUs, 0)
  const longest = all.reduce((most, one) => (one.longestUs > most.longestUs ? one : most))
  const who = longest.session === null ? 'somebody outside the replay' : `session ${longest.session}`
  return `${all.length} session${all.length === 1 ? '' : 's'}, ${time(total)} in all, the longest ${time(longest.longestUs)} (${who})`
}

function p95({ statements, p95Us }: LatencyStretch): string {
  return statements === 0 ? 'nothing' : time(p95Us)
}

function time(us: number): string {
  return us < 1e6 ? `${(us / 1000).toFixed(1)} ms` : `${(us / 1e6).toFixed(1)} s`
}
