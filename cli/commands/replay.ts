/**
 * `pgrehearse replay`: a recording against a shadow, in an order that has one outcome.
 */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { EXIT, type ExitCode, HarnessError } from '../../base/errors.js'
import { serveText } from '../../base/metrics-server.js'
import { planOf } from '../../replayer/plan/cache.js'
import { openRewrite } from '../../replayer/rewrite/open.js'
import { type Prepared, prepareInjection } from '../../replayer/run/inject/injector.js'
import { parseInjection } from '../../replayer/run/inject/moment.js'
import { metricsText } from '../../replayer/run/metrics.js'
import { parseOnly } from '../../replayer/run/only.js'
import type { Plan } from '../../replayer/run/plan-shape.js'
import { type ReplayProgress, replay } from '../../replayer/run/replay.js'
import { commitPlan, sessionPlan } from '../../replayer/run/simple-plans.js'
import type { ReplayStatus } from '../../replayer/run/status.js'
import { withClient } from '../../replayer/shadow/connect.js'
import { parseLimits } from '../../replayer/shadow/doors/limits.js'
import { isolationOf, type Preflight, preflight, shutAgain } from '../../replayer/shadow/doors/preflight.js'
import { assertShadow } from '../../replayer/shadow/isolation.js'
import type { Marker } from '../../replayer/shadow/marker.js'
import { balances, imbalance, type Reasons, sum } from '../../segment/ledger.js'
import type { Manifest } from '../../segment/manifest.js'
import { readManifest } from '../../segment/manifest-file.js'
import { openRecording, type RecordingReader } from '../../segment/recording.js'
import type { PassFacts, RunFacts, RunRole, RunStart } from '../../segment/run.js'
import type { Cli } from '../cli.js'
import { injectionLines } from '../injection-lines.js'
import {
  FROM_START,
  filterOf,
  parseSpeed,
  parseThink,
  positive,
  wholePositive,
  wrongOption,
} from '../replay-options.js'
import { earlierOf, refuseOtherSettings, refuseOtherShadow } from '../replay-resume.js'
import { startOf } from '../replay-start.js'
import { parseCount, parseDuration, parseHostPort } from '../units.js'

const ORDERS = ['causal', 'commit', 'session'] as const
const ROLES = ['baseline', 'noise', 'candidate'] as const satisfies readonly RunRole[]
type Order = (typeof ORDERS)[number]

type Flags = {
  readonly target: string
  readonly out: string
  readonly speed: string
  readonly maxRate?: string
  readonly order: string
  readonly workers?: string
  readonly ramp?: string
  readonly think: string
  readonly loop?: string
  readonly maxConnections?: string
  readonly readOnly?: boolean
  readonly from?: string
  readonly to?: string
  readonly only?: readonly string[]
  readonly inject?: readonly string[]
  readonly injectMustSucceed?: boolean
  readonly rewrite?: string
  readonly metrics?: string
  readonly role?: (typeof ROLES)[number]
  readonly socket: boolean
  readonly force?: boolean
  readonly resume?: boolean
  readonly leaveOpen?: readonly string[]
  readonly limit?: readonly string[]
}

export function register(program: Command, cli: Cli): void {
  program
    .command('replay')
    .argument('<recording>', 'folder of a recording')
    .description('replay a recording against a shadow')
    .requiredOption('--target <url>', 'the shadow; only what `snapshot restore` made is ever dirtied')
    .requiredOption('--out <file>', 'the run to make')
    .option('--speed <n>', 'times as fast as recorded: 0.5, 1, 10, or max (order only, no waiting for time)', '1')
    .option('--max-rate <n>', 'statements per second, at most')
    .option('--ramp <time>', 'reach full speed, or all sessions, only after this long: 10s')
    .option(
      '--think <how>',
      'recorded: the schedule, whatever answers take; none, x2, x0.5: so many times the recorded pause after each answer',
      'recorded',
    )
    .option('--loop <n>', 'so many times over; outcomes are kept of the first pass, figures of all')
    .option(
      '--order <order>',
      'causal: conflicts as recorded; commit: every commit as recorded; session: timing only',
      'causal',
    )
    .option('--workers <n>', 'threads that send (default: one for each core)')
    .option(
      '--from <moment>',
      'leave out transactions that began before: 10m into the recording, or 2026-01-31T09:30Z; start: leave out nothing, also what the snapshot contains (default: begin where the snapshot was taken)',
    )
    .option('--to <moment>', 'leave out transactions that began then or later')
    .option(
      '--only <key=value,…>',
      'replay only these: fingerprint=, session=, table=, user=, class= (read, write, select, insert, …); repeatable',
      gathered,
    )
    .option(
      '--inject <at:what>',
      'run a file of SQL, a folder of them or a command at a moment of the replay: 30s:V7.sql, 50%:V7.sql, "#4711:make migrate"; repeatable',
      gathered,
    )
    .option('--inject-must-succeed', 'stop when one of them fails (otherwise that is told, and the replay goes on)')
    .option('--max-connections <n>', 'sessions share connections, between transactions, where the recording allows it')
    .option('--rewrite <file>', 'mapping.yaml: how the recorded statements read on the target')
    .option('--read-only', 'replay as a role that may read everything and write nothing')
    .option('--no-socket', 'connect as the URL says, also where a Unix socket leads to the same server')
    .option('--metrics <host:port>', 'serve figures for Prometheus while it runs')
    .addOption(new Option('--role <role>', 'what reports call this run').choices(ROLES))
    .option('--force', 'replace an existing run')
    .option('--resume', 'go on with the run at --out, which was interrupted with Ctrl-C, on the same shadow')
    .option(
      '--leave-open <door>',
      'a way out of the shadow that is not shut (`snapshot doors` lists them); repeatable',
      gathered,
    )
    .option(
      '--limit <name=value>',
      'of the sessions: statement_timeout, lock_timeout, idle_in_transaction_session_timeout, idle_session_timeout, work_mem, temp_file_limit; repeatable',
      gathered,
    )
    .action(
      cli.action(([recording], flags: Flags) =>
        runReplay(resolve(cli.cwd, recording!), flags, `pgrehearse ${program.version() ?? ''}`, cli),
      ),
    )
}

async function runReplay(path: string, flags: Flags, madeBy: string, cli: Cli): Promise<ExitCode> {
  const speed = parseSpeed(flags.speed)
  const order = parseOrder(flags.order)
  const ratePerSecondMax = flags.maxRate === undefined ? undefined : positive('--max-rate', flags.maxRate)
  const workers = flags.workers === undefined ? undefined : wholePositive('--workers', flags.workers)
  const rampMs = flags.ramp === undefined ? undefined : parseDuration(flags.ramp, '--ramp')
  const think = parseThink(flags.think, speed)
  const loop = flags.loop === undefined ? undefined : parseCount(flags.loop, '--loop')
  const maxConnections =
    flags.maxConnections === undefined ? undefined : parseCount(flags.maxConnections, '--max-connections')
  const only = flags.only === undefined ? null : parseOnly(flags.only)
  const metricsAt = flags.metrics === undefined ? null : parseHostPort(flags.metrics, '--metrics')
  const injections: Prepared[] = []
  for (const text of flags.inject ?? []) injections.push(await prepareInjection(parseInjection(text)))
  const out = resolve(cli.cwd, flags.out)
  const limits = parseLimits(flags.limit ?? [])
  if (cli.checksOnly) {
    filterOf(flags, only, readManifest(path).startedAtMs)
    return EXIT.pass
  }
  const hurry = new AbortController()
  let isOver = false
  cli.onSignal((count) => {
    if (isOver) return
    if (count === 1) cli.note('stopping when transactions under way are over; again: at once')
    else hurry.abort()
  })

  const recording = openRecording(path)
  let status: (() => ReplayStatus) | null = null
  const metrics = metricsAt && (await serveText(metricsAt, () => metricsText(out, status?.() ?? null)))
  if (metrics) cli.note(`figures at http://${metricsAt.host}:${metrics.port}/metrics`)
  try {
    const { recovered, manifest } = recording
    const given = filterOf(flags, only, manifest.startedAtMs)
    if (recovered)
      cli.note(`this recording was interrupted; ${recovered.statements} statements of its tail are read too`)
    const recordingSystemIdentifier = manifest.server.systemIdentifier
    const { marker, before } = await withClient(flags.target, async (client) => {
      const marker = await assertShadow(client, { recordingSystemIdentifier })
      refuseOtherMasks(marker, manifest)
      const sessions = recording.sessions().length
      return { marker, before: await preflight(client, { leaveOpen: flags.leaveOpen ?? [], limits, sessions }) }
    })
    sayPreflight(before, cli)
    sayLeftOut(injections, cli)
    let now = before
    const { filter, start, note } = startOf(given, flags.from === FROM_START, recording, marker)
    if (note !== null) cli.note(note)
    const resume = flags.resume === true ? earlierOf(out, flags, manifest.id) : undefined
    const rewrite =
      flags.rewrite === undefined
        ? undefined
        : await openRewrite(resolve(cli.cwd, flags.rewrite), manifest.catalog, flags.target, recording.statements())
    if (resume !== undefined) {
      refuseOtherSettings(resume, {
        order,
        readOnly: flags.readOnly ?? false,
        filter: filter?.words ?? [],
        rewrite: rewrite?.hash ?? null,
      })
      await withClient(flags.target, (client) => refuseOtherShadow(client, resume))
    }
    const plan = await ordered(recording, order, cli)
    const progress = cli.progress(flags.role === undefined ? 'replay' : `replay ${flags.role}`)
    const facts = await replay({
      recording: path,
      plan,
      target: flags.target,
      out,
      force: flags.force ?? false,
      speed,
      ...(flags.role === undefined ? {} : { role: flags.role }),
      ...(ratePerSecondMax === undefined ? {} : { ratePerSecondMax }),
      ...(workers === undefined ? {} : { workers }),
      ...(rampMs === undefined ? {} : { rampMs }),
      ...(loop === undefined ? {} : { loop }),
      think,
      ...(maxConnections === undefined ? {} : { maxConnections }),
      asGiven: !flags.socket,
      ...(rewrite === undefined ? {} : { rewrite }),
      ...(filter === undefined ? {} : { filter }),
      injections,
      injectionsMustSucceed: flags.injectMustSucceed ?? false,
      readOnly: flags.readOnly ?? false,
      snapshotId: marker.snapshotId,
      start,
      madeBy,
      isolation: () => withClient(flags.target, (client) => isolationOf(client, now)),
      shut: async (client, inTransaction) => {
        now = await shutAgain(client, now, { leaveOpen: flags.leaveOpen ?? [], inTransaction })
      },
      signal: cli.signal,
      hurry: hurry.signal,
      ...(resume === undefined ? {} : { resume }),
      onBegin: (read) => {
        status = read
      },
      onProgress: (now) => progress.update(now.done, now.total, describe(now)),
    })
    progress.done(`${facts.ledger.kept.statements} statements in ${seconds(facts.elapsedUs)}`)
    const code = report(facts, out, cli)
    const failed = facts.injections?.some(({ outcome }) => outcome === 'failed') ?? false
    const isOpen = facts.incidents.some(({ kind }) => kind === 'way out')
    return code === EXIT.pass && (isOpen || (failed && flags.injectMustSucceed === true)) ? EXIT.invalid : code
  } finally {
    isOver = true
    metrics?.close()
    recording.close()
  }
}

/** Tokens of another policy or key are found in no row of this shadow: every statement would differ, and for no reason. */
function refuseOtherMasks(marker: Marker, { privacy }: Manifest): void {
  const same = marker.policyHash === privacy.policyHash && marker.keyFingerprint === privacy.keyFingerprint
  if (same) return
  throw new HarnessError({
    code: 'MASKED_OTHERWISE',
    message: 'the recording and the shadow were masked differently',
    detail: `another ${marker.keyFingerprint === privacy.keyFingerprint ? 'policy' : 'key'} was used, so values of one are not found in the other.`,
    hint: 'Take the snapshot with the policy and the key of the recording, and restore that.',
    exit: EXIT.usage,
  })
}

function sayPreflight({ doors, notes }: Preflight, cli: Cli): void {
  const states = new Map<string, number>()
  for (const { state } of doors) states.set(state, (states.get(state) ?? 0) + 1)
  const parts = [...states].map(([state, count]) => `${count} ${STATE_WORDS[state] ?? state}`)
  if (parts.length > 0) cli.note(`ways out of the shadow: ${parts.join(', ')}`)
  for (const { kind, name } of doors.filter(({ state }) => state === 'left open'))
    cli.note(`  left open: ${kind} ${name}`)
  for (const note of notes) cli.note(`note: ${note}`)
}

function sayLeftOut(injections: readonly Prepared[], cli: Cli): void {
  for (const { work } of injections) {
    if (work.kind === 'command') continue
    for (const { file, leftOut } of work.files)
      for (const { line, what } of leftOut)
        cli.note(`note: left out of what is injected: ${file} line ${line}: ${what}`)
  }
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  stub: 'replaced by stubs',
  'local table': 'replaced by empty tables',
  idle: 'that lead nowhere here',
}

async function ordered(recording: RecordingReader, order: Order, cli: Cli): Promise<Plan> {
  const progress = cli.progress('plan')
  const plan = await {
    causal: async () => (await planOf(recording)).plan,
    commit: async () => commitPlan(recording.timeline(), recording.sessions()),
    session: async () => sessionPlan(recording.timeline(), recording.sessions()),
  }[order]()
  progress.done(`${plan.statementCount} statements, ${plan.waitSession.length} waits`)
  return plan
}

function describe(now: ReplayProgress): string {
  const { perSecond, lateMsMax, errors, orderRelaxed, etaMs, positionMs, spanMs } = now
  const parts = [
    `at ${clock(positionMs)} of ${clock(spanMs)}`,
    `${Math.round(perSecond)}/s`,
    `${lateMsMax.toFixed(1)} ms late`,
  ]
  if (errors > 0) parts.push(`${errors} errors`)
  if (orderRelaxed > 0) parts.push(`order relaxed ${orderRelaxed} times`)
  if (etaMs !== null) parts.push(`${clock(etaMs)} left`)
  return parts.join(', ')
}

/** `7:05`, `1:07:05`. */
function clock(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`
}

function report(facts: RunFacts, out: string, cli: Cli): ExitCode {
  const { ledger } = facts
  cli.result({ run: out, ...facts })
  cli.print(`run  ${out}`)
  cli.print(
    `  replayed  ${ledger.kept.statements} of ${ledger.seen.statements} statements, ${ledger.kept.transactions} of ${ledger.seen.transactions} transactions`,
  )
  printReasons('filtered', ledger.filtered, cli)
  printReasons('skipped', ledger.skipped, cli)
  printReasons('lost', ledger.lost, cli)
  const { connections } = facts.settings
  if (connections !== undefined)
    cli.print(
      `  connections  ${connections.sharing} sessions shared ${connections.shared}, ${connections.alone} had one of their own`,
    )
  for (const pass of facts.passes ?? []) cli.print(passLine(pass))
  for (const injection of facts.injections ?? []) for (const line of injectionLines(injection)) cli.print(line)
  if (facts.reenacted)
    cli.print(`  ended as in production: ${facts.reenacted} statements (deadlocks, serialization failures)`)
  for (const { kind, name, calls } of facts.isolation?.doors ?? [])
    if (calls !== null && calls > 0) cli.print(`  shut  ${calls} calls of ${kind} ${name} were answered by a stub`)
  if (facts.leftOff !== undefined) cli.note('  stopped between transactions, where `replay --resume` can go on with it')
  const { start } = facts
  if (start?.kind === 'within') cli.print(startLine(start))
  if (facts.orderRelaxed > 0) cli.print(`  order relaxed for ${facts.orderRelaxed} statements, to end standstills`)
  if (facts.bottleneck !== undefined) cli.note(`  the harness was the bottleneck: ${facts.bottleneck}`)
  for (const { kind, detail } of facts.incidents.slice(0, INCIDENTS_SHOWN)) cli.note(`  ${kind}: ${detail}`)
  if (balances(ledger)) return EXIT.pass
  const rest = imbalance(ledger)
  cli.note(
    `the ledger does not balance: ${rest.statements} statements and ${rest.transactions} transactions are unaccounted for; this run is INVALID`,
  )
  return EXIT.invalid
}

function startLine({ contained, straddling, undecided }: Extract<RunStart, { kind: 'within' }>): string {
  const rest = [
    ...(straddling > 0 ? [`${straddling} went on across that moment`] : []),
    ...(undecided > 0 ? [`${undecided} ended at that very moment, and may be on either side`] : []),
  ]
  return `  snapshot  contains ${contained} recorded transactions${rest.map((one) => `; ${one}`).join('')}`
}

const INCIDENTS_SHOWN = 10

function passLine({ pass, elapsedUs, statements, errors, service }: PassFacts): string {
  const failed = Object.entries(errors).map(([sqlstate, count]) => `${count} × ${sqlstate}`)
  const wrong = failed.length === 0 ? 'no errors' : failed.slice(0, ERRORS_SHOWN).join(', ')
  return `  pass ${pass}  ${statements} statements in ${seconds(elapsedUs)}, p95 ${(service.p95Us / 1000).toFixed(1)} ms, ${wrong}`
}

const ERRORS_SHOWN = 5

function printReasons(word: string, reasons: Reasons, cli: Cli): void {
  if (sum(reasons).statements === 0) return
  for (const [reason, { statements }] of Object.entries(reasons)) cli.print(`  ${word}  ${statements}: ${reason}`)
}

function seconds(us: number): string {
  return `${(us / 1e6).toFixed(1)} s`
}

function parseOrder(text: string): Order {
  const order = ORDERS.find((known) => known === text)
  if (order === undefined) throw wrongOption('--order', text, `one of ${ORDERS.join(', ')}`)
  return order
}

/** An option that may be given several times. */
function gathered(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}
