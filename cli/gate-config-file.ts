/**
 * The gate's file, as commands take it, and the verdict as they say it.
 */
import { readFileSync } from 'node:fs'
import pc from 'picocolors'
import { EXIT, HarnessError } from '../base/errors.js'
import type { Verdict } from '../reports/gate.js'
import { DEFAULT_GATE, type GateConfig, parseGateConfig } from '../reports/gate-config.js'
import type { Cli } from './cli.js'

/** undefined: no file was named, so the defaults hold. */
export function readGate(path: string | undefined): GateConfig {
  if (path === undefined) return DEFAULT_GATE
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new HarnessError({
      code: 'GATE_CONFIG_UNREADABLE',
      message: `cannot read gate configuration ${path}`,
      detail: `the system says ${(error as NodeJS.ErrnoException).code ?? 'no'}.`,
      hint: 'Check the path; without a file the cautious defaults hold.',
      exit: EXIT.usage,
    })
  }
  return parseGateConfig(text, path)
}

export function printVerdict(cli: Cli, verdict: Verdict, headline: string, why: readonly string[]): void {
  const paint = { PASS: pc.green, FAIL: pc.red, INVALID: pc.yellow }[verdict]
  cli.print(`${pc.bold(paint(verdict))}  ${headline}`)
  for (const sentence of why) cli.print(`  ${sentence}`)
}
