/** `record proxy` records through a proxy; `record status|pause|resume|stop|kill` speak to one that runs. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { askControl, CONTROL_COMMANDS, type ControlCommand, serveControl } from '../../recorder/control.js'
import { type ProxyRecording, type ProxyStatus, startProxyRecording } from '../../recorder/proxy.js'
import type { Manifest } from '../../segment/manifest.js'
import type { Cli } from '../cli.js'
import { addMaskingOptions, type MaskingFlags, readMaskingOptions } from '../masking-options.js'
import { parseBytes, parseDuration, parseHostPort } from '../units.js'

type ProxyFlags = MaskingFlags & {
  readonly listen: string
  readonly upstream: string
  readonly out: string
  readonly duration?: string
  readonly maxBytes?: string
  readonly ringBytes?: string
  readonly control?: string
  readonly force?: boolean
}

const WHAT: Readonly<Record<ControlCommand, string>> = {
  status: 'what a running recorder is doing',
  pause: "stop recording for a while, at each session's next transaction boundary",
  resume: 'go on recording',
  stop: 'seal the recording; connections live on, unrecorded',
  kill: 'end all recording work at once; connections live on, unrecorded',
}

export function register(program: Command, cli: Cli): void {
  const record = program.command('record').description('record production traffic')
  const proxy = record
    .command('proxy')
    .description('a PostgreSQL proxy that records what passes')
    .requiredOption('--listen <host:port>', 'where clients connect to')
    .requiredOption('--upstream <url>', 'the server behind the proxy; its credentials read the catalog')
    .requiredOption('--out <folder>', 'the recording to make')
  addMaskingOptions(proxy)
    .option('--duration <time>', 'seal the recording after this long: 90s, 10m, 1h')
    .option('--max-bytes <size>', 'seal the recording at this size: 500MB, 2GB')
    .option('--ring-bytes <size>', 'memory between traffic and recording', '64MB')
    .option('--control <path>', 'control socket (default: beside the recording)')
    .option('--force', 'replace an existing recording')
    .action(
      cli.action((_args, flags: ProxyFlags) => recordProxy(flags, `pgrehearse ${program.version() ?? ''}`, cli), {
        endsBySignal: true,
      }),
    )
  for (const command of CONTROL_COMMANDS) {
    record
      .command(command)
      .description(WHAT[command])
      .requiredOption('--control <path>', 'the control socket of the running recorder')
      .action(cli.action((_args, flags: { control: string }) => control(command, resolve(cli.cwd, flags.control), cli)))
  }
}

async function recordProxy(flags: ProxyFlags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const listen = parseHostPort(flags.listen, '--listen')
  const durationMsMax = flags.duration === undefined ? undefined : parseDuration(flags.duration, '--duration')
  const recordingBytesMax = flags.maxBytes === undefined ? undefined : parseBytes(flags.maxBytes, '--max-bytes')
  const out = resolve(cli.cwd, flags.out)
  const { key, policy } = readMaskingOptions(flags, cli)

  const recording = await startProxyRecording({
    listen,
    upstream: flags.upstream,
    out,
    key,
    policy,
    madeBy,
    env: cli.env,
    force: flags.force ?? false,
    ringBytes: parseBytes(flags.ringBytes ?? '64MB', '--ring-bytes'),
    ...(durationMsMax === undefined ? {} : { durationMsMax }),
    ...(recordingBytesMax === undefined ? {} : { recordingBytesMax }),
  })
  recording.events.on('incident', ({ kind, detail }) => cli.note(`recorder: ${kind}: ${detail}`))
  recording.events.on('ended', (state) => {
    if (!cli.signal.aborted)
      cli.note(`recorder: ${state}; connections live on, unrecorded, until this program is stopped`)
  })
  const controlPath = flags.control === undefined ? `${out}.control` : resolve(cli.cwd, flags.control)
  const socket = await serveControl(controlPath, recording).catch(async (error: unknown) => {
    await recording.stop({ graceMs: 0 })
    throw error
  })
  cli.note(
    `recording ${listen.host}:${recording.port} to ${out}; stop with Ctrl-C, or record stop --control ${controlPath}`,
  )
  try {
    return finish(await untilStopped(recording, cli), recording, cli)
  } finally {
    socket.close()
    recording.close()
  }
}

/** The first signal lets open transactions end, the second does not wait for them; the recording is sealed in either case. */
function untilStopped(recording: ProxyRecording, cli: Cli): Promise<Manifest | null> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      recording.stop().then(resolve, reject)
    }
    cli.onSignal(stop)
    if (cli.signal.aborted) stop()
  })
}

function finish(manifest: Manifest | null, recording: ProxyRecording, cli: Cli): ExitCode {
  const status = recording.status()
  cli.result({ recording: recording.path, status, ledger: manifest?.ledger ?? null })
  if (status.state === 'sealed') {
    cli.print(`sealed ${recording.path}: ${summary(status)}`)
    return EXIT.pass
  }
  cli.print(`${status.state}: ${recording.path} holds what was written until then (${summary(status)})`)
  return status.state === 'killed' ? EXIT.pass : EXIT.environment
}

function summary(status: ProxyStatus): string {
  const { statementsKept, transactionsKept, statementsLost } = status
  return `${statementsKept} statements in ${transactionsKept} transactions, ${statementsLost} lost`
}

async function control(command: ControlCommand, path: string, cli: Cli): Promise<ExitCode> {
  const status = await askControl(path, command)
  cli.result(status)
  cli.print(`${status.state}: ${summary(status)}, ${status.connections} connections`)
  const { usedBytes, sizeBytes } = status.ring
  cli.print(
    `ring ${Math.round((100 * usedBytes) / sizeBytes)} % full; ${status.recordingBytes} bytes written to ${status.path}`,
  )
  return EXIT.pass
}
