/** `record proxy` records through a proxy; `record status|pause|resume|stop|kill` speak to one that runs. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, type ExitCode } from '../../base/errors.js'
import { askControl, CONTROL_COMMANDS, type ControlCommand, serveControl } from '../../recorder/control.js'
import { watchKillFile } from '../../recorder/kill-file.js'
import { serveMetrics } from '../../recorder/metrics.js'
import { type ProxyOptions, startProxyRecording } from '../../recorder/proxy.js'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import type { ProxyStatus } from '../../recorder/status.js'
import type { Manifest } from '../../segment/manifest.js'
import type { Cli } from '../cli.js'
import { addMaskingOptions } from '../masking-options.js'
import { type ProxyFlags, readProxyOptions } from '../record-options.js'
import { parseDuration, parseHostPort } from '../units.js'

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
    .requiredOption('--listen <address>', 'where clients connect to: HOST:PORT or unix:PATH (repeatable)', several)
    .requiredOption('--upstream <url>', 'the server behind it; its credentials read the catalog (repeatable)', several)
    .requiredOption('--out <folder>', 'the recording to make, one for each --upstream', several)
    .option('--tls-cert <file>', 'certificate (PEM) for clients that ask for TLS')
    .option('--tls-key <file>', 'its private key (PEM)')
  addMaskingOptions(proxy)
    .option('--duration <time>', 'seal the recording after this long: 90s, 10m, 1h')
    .option('--max-bytes <size>', 'seal the recording at this size: 500MB, 2GB')
    .option('--max-statements <n>', 'seal the recording at this many statements')
    .option('--sample <shares>', 'record a share: 10% (of sessions), transactions=25%, reads=10%,writes=100%')
    .option(
      '--include <what=pattern>',
      'only database=, user=, application=, table=, fingerprint= (repeatable)',
      several,
    )
    .option('--exclude <what=pattern>', 'all but these (repeatable); * stands for anything', several)
    .option(
      '--breaker <vital=limit>',
      'when to stop recording for a while: ring=80%, rss=1GB, off (repeatable)',
      several,
    )
    .option('--grace <time>', 'at the end, wait so long for open transactions', '5s')
    .option('--connect-timeout <time>', 'for the server to answer', '10s')
    .option('--login-timeout <time>', 'for a client to log in', '60s')
    .option('--idle-timeout <time>', 'end sessions that do nothing between transactions (default: never)')
    .option('--keepalive <time>', 'silence before TCP asks whether the other side lives; 0: never', '60s')
    .option('--ring-bytes <size>', 'memory between traffic and recording', '64MB')
    .option('--control <path>', 'control socket (default: beside the recording)')
    .option('--kill-file <path>', 'recording is killed when this file appears (default: OUT.kill)')
    .option('--metrics <host:port>', 'figures for Prometheus, at /metrics')
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

function several(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

async function recordProxy(flags: ProxyFlags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const all = readProxyOptions(flags, madeBy, cli)
  const graceMs = parseDuration(flags.grace ?? '5s', '--grace')
  const metricsAt = flags.metrics === undefined ? undefined : parseHostPort(flags.metrics, '--metrics')
  const started: Started[] = []
  let metrics: { readonly port: number; close(): void } | null = null
  try {
    for (const options of all) started.push(await start(options, flags, cli))
    if (metricsAt !== undefined) {
      metrics = await serveMetrics(metricsAt, () => started.map(({ recording }) => recording.status()))
      cli.note(`figures at http://${metricsAt.host}:${metrics.port}/metrics`)
    }
    const recordings = started.map(({ recording }) => recording)
    return finish(await untilStopped(recordings, graceMs, cli), recordings, cli)
  } catch (error) {
    await Promise.all(started.map(({ recording }) => recording.stop({ graceMs: 0 })))
    throw error
  } finally {
    metrics?.close()
    for (const { recording, control, killFile } of started) {
      control.close()
      killFile.close()
      recording.close()
    }
  }
}

type Closable = { close(): void }
type Started = { readonly recording: ProxyRecording; readonly control: Closable; readonly killFile: Closable }

async function start(options: ProxyOptions, flags: ProxyFlags, cli: Cli): Promise<Started> {
  const recording = await startProxyRecording(options)
  recording.events.on('incident', ({ kind, detail }) => cli.note(`recorder: ${kind}: ${detail}`))
  recording.events.on('ended', (state) => {
    if (!cli.signal.aborted)
      cli.note(`recorder: ${state}; connections live on, unrecorded, until this program is stopped`)
  })
  const controlPath = flags.control === undefined ? `${options.out}.control` : resolve(cli.cwd, flags.control)
  const control = await serveControl(controlPath, recording).catch(async (error: unknown) => {
    await recording.stop({ graceMs: 0 })
    throw error
  })
  const killPath = flags.killFile === undefined ? `${options.out}.kill` : resolve(cli.cwd, flags.killFile)
  const kill = (why: string) => {
    cli.note(`recorder: killed by ${why}`)
    void recording.kill()
  }
  const killFile = watchKillFile(killPath, () => kill(killPath))
  cli.onKillSignal(() => kill('SIGUSR2'))
  const { listen } = recording.status()
  cli.note(
    `recording ${listen.join(', ')} to ${options.out}; stop with Ctrl-C, or record stop --control ${controlPath}`,
  )
  return { recording, control, killFile }
}

/** The first signal lets open transactions end, the second does not wait for them; the recordings are sealed in either case. */
function untilStopped(
  recordings: readonly ProxyRecording[],
  graceMs: number,
  cli: Cli,
): Promise<readonly (Manifest | null)[]> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      Promise.all(recordings.map((recording) => recording.stop({ graceMs }))).then(resolve, reject)
    }
    cli.onSignal(stop)
    if (cli.signal.aborted) stop()
  })
}

function finish(manifests: readonly (Manifest | null)[], recordings: readonly ProxyRecording[], cli: Cli): ExitCode {
  const results = recordings.map((recording, i) => {
    return { recording: recording.path, status: recording.status(), ledger: manifests[i]?.ledger ?? null }
  })
  cli.result(results.length === 1 ? results[0] : { recordings: results })
  let code: ExitCode = EXIT.pass
  for (const { recording, status } of results) {
    if (status.state === 'sealed') cli.print(`sealed ${recording}: ${summary(status)}`)
    else cli.print(`${status.state}: ${recording} holds what was written until then (${summary(status)})`)
    if (status.state !== 'sealed' && status.state !== 'killed') code = EXIT.environment
  }
  return code
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
  const { trips, trippedBy } = status.breaker
  cli.print(
    `held ${status.held.p50Us} µs at p50, ${status.held.p99Us} µs at p99; circuit breaker ${trippedBy === null ? 'closed' : `tripped by ${trippedBy}`}, ${trips} trips`,
  )
  cli.print(
    `ring ${Math.round((100 * usedBytes) / sizeBytes)} % full; ${status.recordingBytes} bytes written to ${status.path}`,
  )
  return EXIT.pass
}
