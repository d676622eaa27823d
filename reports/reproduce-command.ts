/** The command that shows a discrepancy by hand, as a shell reads it. */

export function reproduceCommand(diffPath: string, alertId: string): string {
  return `pgrehearse reproduce ${shellQuoted(diffPath)} ${shellQuoted(alertId)}`
}

function shellQuoted(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
