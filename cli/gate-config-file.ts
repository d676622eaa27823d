/**
 * The gate's file, as commands take it, and the verdict as they say it.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import pc from 'picocolors'
import { EXIT, HarnessError } from '../base/errors.js'
import type { Verdict } from '../reports/gate.js'
import { DEFAULT_GATE, type GateConfig, parseGateConfig } from '../reports/gate-config.js'
import { type PastRun, parseHistory } from '../reports/gate-streak.js'
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

/** Beside the file of a gate that asks for a row of passes; empty before the first rehearsal, and for any other gate. */
export function readHistory(config: GateConfig, path: string | undefined): readonly PastRun[] {
  if (path === undefined || config.streakRuns === undefined) return []
  const beside = historyPath(path)
  return existsSync(beside) ? parseHistory(readFileSync(beside, 'utf8'), beside) : []
}

/** Whole or not at all: a job that is stopped must not cost the row. */
export function writeHistory(path: string, text: string): string {
  const beside = historyPath(path)
  const temporary = `${beside}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { mode: 0o644 })
    renameSync(temporary, beside)
    return beside
  } catch (error) {
    throw new HarnessError({
      code: 'GATE_HISTORY_UNWRITABLE',
      message: `cannot write the gate's history ${beside}`,
      detail: `the system says ${(error as NodeJS.ErrnoException).code ?? 'no'}.`,
      hint: 'The row of passes is kept beside gate.yaml: let this job write there, or leave `streak` out.',
      cause: error,
    })
  }
}

/** `gate.yaml` has `gate.history.json`. */
function historyPath(path: string): string {
  return `${path.replace(/\.ya?ml$/i, '')}.history.json`
}

export function printVerdict(cli: Cli, verdict: Verdict, headline: string, why: readonly string[]): void {
  const paint = { PASS: pc.green, FAIL: pc.red, INVALID: pc.yellow }[verdict]
  cli.print(`${pc.bold(paint(verdict))}  ${headline}`)
  for (const sentence of why) cli.print(`  ${sentence}`)
}
