/**
 * What every command shares: where words go, how progress shows, how an error becomes a message and an exit code.
 *
 * Results for people go to stdout, everything else to stderr; with --json stdout gets one object and nothing else.
 * Only cli/ touches the process.
 */
import type { Command } from 'commander'
import pc from 'picocolors'
import { EXIT, type ExitCode, HarnessError } from '../base/errors.js'

export type Progress = {
  /** `total` null: not known. `detail` is what else is worth saying: a rate, a lateness, an ETA. */
  update(done: number, total: number | null, detail?: string): void
  /** The step is over; the line stays, with this text. */
  done(text: string): void
}

export type ActionOptions = {
  /** Ctrl-C is how this command is meant to end: then it is no interruption. */
  readonly endsBySignal?: boolean
}

export type Cli = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  readonly json: boolean
  /** A command only says whether it can read its options, and touches nothing: `run` asks for all steps before the first. */
  readonly checksOnly: boolean
  /** For people, on stdout; silent with --json. */
  print(text?: string): void
  /** For people, on stderr. */
  note(text: string): void
  /** The one object that --json prints; ignored without it. */
  result(value: unknown): void
  progress(label: string): Progress
  /** Called for every SIGINT or SIGTERM, with how many have come. The third always ends the process. */
  onSignal(listener: (count: number) => void): void
  /** Called for every SIGUSR2: the sign to let go at once. */
  onKillSignal(listener: () => void): void
  /** Wraps a command's work: `command.action(cli.action(async (args, options) => EXIT.pass))`. */
  action<Options extends object>(
    work: (args: readonly string[], options: Options, command: Command) => Promise<ExitCode>,
    how?: ActionOptions,
  ): (...all: unknown[]) => Promise<void>
}

export function createCli(host: NodeJS.Process): Cli {
  const abort = new AbortController()
  const listeners: ((count: number) => void)[] = []
  let signals = 0
  let json = false

  const onSignal = () => {
    signals += 1
    abort.abort()
    for (const listener of listeners) listener(signals)
    if (signals >= 3) host.exit(EXIT.interrupted)
  }
  const out = output(host)
  host.on('SIGINT', onSignal)
  host.on('SIGTERM', onSignal)

  const cli: Cli = {
    env: host.env,
    cwd: host.cwd(),
    checksOnly: false,
    signal: abort.signal,
    get json() {
      return json
    },
    print: (text = '') => {
      if (!json) out.write(`${text}\n`)
    },
    note: (text) => {
      host.stderr.write(`${text}\n`)
    },
    result: (value) => {
      if (json) out.write(`${JSON.stringify(value, null, 2)}\n`)
    },
    progress: (label) => (host.stderr.isTTY ? liveProgress(label, host.stderr) : plainProgress(label, host.stderr)),
    onSignal: (listener) => {
      listeners.push(listener)
    },
    onKillSignal: (listener) => {
      host.on('SIGUSR2', listener)
    },
    action:
      (work, how = {}) =>
      async (...all) => {
        const command = all.at(-1) as Command
        const options = all.at(-2) as { json?: boolean }
        const args = all.slice(0, -2).flat() as string[]
        json = options.json === true
        const interrupted = () => abort.signal.aborted && how.endsBySignal !== true
        try {
          const code = await work(args, options as never, command)
          host.exitCode = interrupted() && code === EXIT.pass ? EXIT.interrupted : code
        } catch (thrown) {
          const error = forPeople(thrown)
          host.exitCode = interrupted() ? EXIT.interrupted : exitOf(error)
          if (json) out.write(`${JSON.stringify({ error: plainError(error) }, null, 2)}\n`)
          host.stderr.write(explain(error, host.env.PGREHEARSE_DEBUG !== undefined))
        }
      },
  }
  return cli
}

/**
 * A reader that has seen enough (`| head`) closes the pipe: that is no failure of ours, so the work goes on to its own exit code, in
 * silence. A disk that is full under `> file` is one: the answer is not there.
 */
function output(host: NodeJS.Process): { write(text: string): void } {
  let open = true
  host.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!open) return
    open = false
    if (error.code === 'EPIPE') return
    const unwritable = new HarnessError({
      code: 'STDOUT_UNWRITABLE',
      message: 'cannot write the answer to standard output',
      detail: `the system says ${error.code ?? 'no'}.`,
      hint: 'Make room where standard output goes, or send it elsewhere.',
      exit: EXIT.environment,
      cause: error,
    })
    host.stderr.write(explain(unwritable, false))
    host.exitCode = unwritable.exit
    host.once('exit', () => {
      host.exitCode = unwritable.exit
    })
  })
  // Nobody is left to be told.
  host.stderr.on('error', () => undefined)
  return {
    write: (text) => {
      if (open) host.stdout.write(text)
    },
  }
}

/** What the system says when a path or a disk will not do, in words. */
const SYSTEM_WORDS: Readonly<Record<string, readonly [why: string, fix: string]>> = {
  EACCES: ['permission is denied', 'Choose another place, or change its permissions.'],
  EPERM: ['permission is denied', 'Choose another place, or change its permissions.'],
  EROFS: ['the file system is read-only', 'Choose another place.'],
  ENOSPC: ['there is no room left on the disk', 'Make room, or choose another place.'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'Choose another place.'],
  EISDIR: ['it is a folder, not a file', 'Name a file.'],
  ENOENT: ['it does not exist', 'Check the path.'],
  EMFILE: ['too many files are open', 'Raise the limit with `ulimit -n`.'],
}

/** A system error that reached the edge becomes a message for a person; everything else stays what it is. */
function forPeople(error: unknown): unknown {
  const { code, path, syscall } = (error ?? {}) as NodeJS.ErrnoException
  const words = code === undefined ? undefined : SYSTEM_WORDS[code]
  if (error instanceof HarnessError || !words || !path) return error
  const [detail, hint] = words
  return new HarnessError({
    code: `SYSTEM_${code}`,
    message: `cannot use ${path} (${syscall ?? 'file'})`,
    detail,
    hint,
    cause: error,
  })
}

function exitOf(error: unknown): ExitCode {
  return error instanceof HarnessError ? error.exit : EXIT.environment
}

function plainError(error: unknown): object {
  if (error instanceof HarnessError) {
    return { code: error.code, message: error.message, detail: error.detail ?? null, hint: error.hint ?? null }
  }
  return {
    code: 'UNEXPECTED',
    message: error instanceof Error ? error.message : String(error),
    detail: null,
    hint: null,
  }
}

/** What, why, what to do. The stack of an unexpected error shows only when asked for. */
export function explain(error: unknown, debug: boolean): string {
  const stack = debug && error instanceof Error ? `${error.stack}\n` : ''
  if (error instanceof HarnessError) {
    const lines = [`${pc.red('error')} ${error.message} ${pc.dim(`[${error.code}]`)}`]
    if (error.detail) lines.push(`  why   ${error.detail}`)
    if (error.hint) lines.push(`  fix   ${error.hint}`)
    return `${lines.join('\n')}\n${stack}`
  }
  const message = error instanceof Error ? error.message : String(error)
  return `${pc.red('error')} ${message} ${pc.dim('[UNEXPECTED]')}\n  fix   Set PGREHEARSE_DEBUG=1 to see where it happened.\n${stack}`
}

function liveProgress(label: string, out: NodeJS.WriteStream): Progress {
  let shownAtMs = 0
  return {
    update(done, total, detail = '') {
      const now = Date.now()
      if (now - shownAtMs < 100) return
      shownAtMs = now
      const share = total
        ? `${bar(done / total)} ${String(Math.floor((100 * done) / total)).padStart(3)} %`
        : String(done)
      const line = `  ${label}  ${share}  ${pc.dim(detail)}`
      out.write(`\r\x1b[2K${line.slice(0, (out.columns ?? 100) + 20)}`)
    },
    done(text) {
      out.write(`\r\x1b[2K${pc.green('✓')} ${label}  ${pc.dim(text)}\n`)
    },
  }
}

/** In a log: a line when a step ends, and one every ten seconds while it lasts. */
function plainProgress(label: string, out: NodeJS.WriteStream): Progress {
  let saidAtMs = Date.now()
  return {
    update(done, total, detail = '') {
      const now = Date.now()
      if (now - saidAtMs < 10_000) return
      saidAtMs = now
      out.write(`  ${label}: ${total ? `${Math.floor((100 * done) / total)} %` : done} ${detail}\n`)
    },
    done(text) {
      out.write(`  ${label}: ${text}\n`)
    },
  }
}

function bar(share: number): string {
  const width = 20
  const full = Math.max(0, Math.min(width, Math.round(share * width)))
  return `${'━'.repeat(full)}${pc.dim('━'.repeat(width - full))}`
}
