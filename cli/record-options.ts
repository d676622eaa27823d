/**
 * What `record proxy` is told, as recordings to start: each server behind the proxy has a recording of its own, and clients reach
 * it by one address or, when it is the only one, by as many as there are.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { EXIT, HarnessError } from '../base/errors.js'
import { readClientTls, SOCKET_PATH_BYTES_MAX, socketPath } from '../recorder/listen.js'
import type { ProxyOptions } from '../recorder/proxy.js'
import type { ListenAddress } from '../recorder/tap/listener.js'
import type { Cli } from './cli.js'
import { type MaskingFlags, readMaskingOptions } from './masking-options.js'
import { readChoice, readThresholds, type SampleFlags } from './sample-options.js'
import { parseBytes, parseCount, parseDuration, parseHostPort } from './units.js'

export type ProxyFlags = MaskingFlags &
  SampleFlags & {
    readonly listen: readonly string[]
    readonly upstream: readonly string[]
    readonly out: readonly string[]
    readonly tlsCert?: string
    readonly tlsKey?: string
    readonly duration?: string
    readonly maxBytes?: string
    readonly maxStatements?: string
    readonly killFile?: string
    readonly grace?: string
    readonly connectTimeout?: string
    readonly loginTimeout?: string
    readonly idleTimeout?: string
    readonly keepalive?: string
    readonly ringBytes?: string
    readonly control?: string
    readonly metrics?: string
    readonly force?: boolean
  }

const DEFAULT_PORT = 5432

export function readProxyOptions(flags: ProxyFlags, madeBy: string, cli: Cli): ProxyOptions[] {
  const listens = flags.listen.map((text) => parseListen(text, cli))
  const recordings = pairs(listens, flags.upstream, flags.out)
  if (recordings.length > 1 && flags.control !== undefined) {
    throw wrong(
      '--control',
      'it names one socket, and each recording has its own.',
      'Leave it out: they stand beside them.',
    )
  }
  if (recordings.length > 1 && flags.killFile !== undefined) {
    throw wrong('--kill-file', 'it names one file, and each recording has its own.', 'Leave it out: OUT.kill of each.')
  }
  const durationMsMax = flags.duration === undefined ? undefined : parseDuration(flags.duration, '--duration')
  const recordingBytesMax = flags.maxBytes === undefined ? undefined : parseBytes(flags.maxBytes, '--max-bytes')
  const recordingStatementsMax =
    flags.maxStatements === undefined ? undefined : parseCount(flags.maxStatements, '--max-statements')
  const ringBytes = parseBytes(flags.ringBytes ?? '64MB', '--ring-bytes')
  const tls = readTls(flags, cli)
  const choice = readChoice(flags)
  const thresholds = readThresholds(flags)
  const timeLimits = readTimeLimits(flags)
  const masking = readMaskingOptions(flags, cli)
  return recordings.map(({ listen, upstream, out }) => ({
    listen,
    upstream,
    out: resolve(cli.cwd, out),
    ...masking,
    madeBy,
    env: cli.env,
    force: flags.force ?? false,
    ringBytes,
    choice,
    thresholds,
    timeLimits,
    ...(tls === undefined ? {} : { tls }),
    ...(durationMsMax === undefined ? {} : { durationMsMax }),
    ...(recordingBytesMax === undefined ? {} : { recordingBytesMax }),
    ...(recordingStatementsMax === undefined ? {} : { recordingStatementsMax }),
  }))
}

const TIMES = {
  connectTimeout: ['connectMs', '--connect-timeout'],
  loginTimeout: ['loginMs', '--login-timeout'],
  idleTimeout: ['idleMs', '--idle-timeout'],
  keepalive: ['keepAliveMs', '--keepalive'],
} as const

function readTimeLimits(flags: ProxyFlags): NonNullable<ProxyOptions['timeLimits']> {
  const limits: Record<string, number> = {}
  for (const [flag, [limit, option]] of Object.entries(TIMES)) {
    const text = flags[flag as keyof typeof TIMES]
    if (text !== undefined) limits[limit] = parseDuration(text, option)
  }
  return limits
}

type Pair = { readonly listen: readonly ListenAddress[]; readonly upstream: string; readonly out: string }

function pairs(listens: readonly ListenAddress[], upstreams: readonly string[], outs: readonly string[]): Pair[] {
  const [upstream, out] = [upstreams[0], outs[0]]
  if (upstream !== undefined && out !== undefined && upstreams.length === 1 && outs.length === 1) {
    return [{ listen: listens, upstream, out }]
  }
  if (listens.length !== upstreams.length || outs.length !== upstreams.length) {
    const counted = `${listens.length} × --listen, ${upstreams.length} × --upstream and ${outs.length} × --out`
    throw wrong('--upstream', `${counted} do not pair up.`, 'Give one --listen and one --out for each --upstream.')
  }
  return upstreams.map((one, i) => ({ listen: [listens[i]!], upstream: one, out: outs[i]! }))
}

/** `127.0.0.1:6432`, `unix:/run/pg/.s.PGSQL.6432`, or a folder: `unix:/run/pg`. */
function parseListen(text: string, cli: Cli): ListenAddress {
  if (!text.startsWith('unix:')) return parseHostPort(text, '--listen')
  const named = resolve(cli.cwd, text.slice('unix:'.length))
  const path = statSync(named, { throwIfNoEntry: false })?.isDirectory() ? socketPath(named, DEFAULT_PORT) : named
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw wrong(
      '--listen',
      `the path of a Unix socket may have ${SOCKET_PATH_BYTES_MAX} bytes.`,
      'Choose a shorter one.',
    )
  }
  return { path }
}

function readTls({ tlsCert, tlsKey }: ProxyFlags, cli: Cli): ProxyOptions['tls'] {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    throw wrong(
      tlsCert === undefined ? '--tls-key' : '--tls-cert',
      'it is of use only with the other.',
      'Give both files.',
    )
  }
  return readClientTls(resolve(cli.cwd, tlsCert), resolve(cli.cwd, tlsKey))
}

function wrong(option: string, detail: string, hint: string): HarnessError {
  const message = `${option} cannot be used like this`
  return new HarnessError({ code: 'OPTION_VALUE', message, detail, hint, exit: EXIT.usage })
}
