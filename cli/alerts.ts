/** Alerts of `report`: what was delivered stands in a file beside the diff; what was not is sent by the next call. */
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { EXIT, HarnessError } from '../base/errors.js'
import { alertsOf, type Delivery, deliver, webhookOf } from '../reports/alerts.js'
import { counted } from '../reports/format.js'
import type { DiffSource } from '../reports/source.js'
import { writeAtomically } from '../segment/files.js'
import type { Cli } from './cli.js'

/** Refused before anything is written. */
export function parseWebhook(text: string): string {
  try {
    const url = webhookOf(text)
    if (/^https?:$/.test(new URL(url).protocol)) return url
  } catch {
    // Said below, like another protocol.
  }
  throw new HarnessError({
    code: 'OPTION_VALUE',
    message: '--alerts cannot be read as a URL',
    detail: 'it takes the address of a service, like https://triage.example.com.',
    exit: EXIT.usage,
  })
}

export async function sendAlerts(
  source: DiffSource,
  diffPath: string,
  url: string,
  withinMs: number,
  cli: Cli,
): Promise<Delivery> {
  const beside = `${diffPath}.alerts.json`
  const done = new Set(readDelivered(beside))
  const owed = alertsOf(source).filter(({ alert_id }) => !done.has(alert_id))
  const delivery = await deliver(owed, {
    url,
    withinMs,
    nowMs: () => performance.now(),
    pause: (ms) => setTimeout(ms),
    onDelivered: (alertId) => {
      done.add(alertId)
      writeAtomically(beside, `${JSON.stringify({ delivered: [...done] })}\n`)
    },
  })
  const { delivered, owed: left, reason } = delivery
  if (delivered.length > 0) cli.print(`  alerts     ${counted(delivered.length, 'alert')} delivered`)
  if (left.length > 0)
    cli.note(
      `note: ${counted(left.length, 'alert')} could not be delivered (${reason}); the next report --alerts on this diff sends them`,
    )
  return delivery
}

function readDelivered(path: string): readonly string[] {
  if (!existsSync(path)) return []
  try {
    const { delivered } = JSON.parse(readFileSync(path, 'utf8')) as { delivered?: unknown }
    return Array.isArray(delivered) ? delivered.filter((id): id is string => typeof id === 'string') : []
  } catch {
    // Sent twice is better than not at all; who gets them knows an alert by its id.
    return []
  }
}
