/**
 * Recording through a proxy: tap, ring and drain put together. What an operator can do with it then is ./proxy-recording.ts.
 *
 *   clients ⇄ tap ⇄ server          this thread: forwards, and offers bytes to the ring
 *              ↓ ring
 *            drain → recording      its own thread: decodes, tokenizes, writes
 *
 * Traffic never depends on the drain: whatever happens to it becomes an incident, and the connections live on.
 */
import { EventEmitter } from 'node:events'
import { performance } from 'node:perf_hooks'
import { hrtime } from 'node:process'
import { type Key, keyFingerprint } from '../privacy/key.js'
import { type Policy, policyHash } from '../privacy/policy/policy.js'
import type { RecordingFacts } from '../segment/recording-writer.js'
import { type Choice, choosesSession, EVERYTHING } from './choice/choice.js'
import type { DrainLimits } from './drain/drain.js'
import { startDrain } from './drain/thread.js'
import { cannotListen, prepareListen } from './listen.js'
import { type ProxyEvents, ProxyRecording, type RunOptions } from './proxy-recording.js'
import type { ClientTls } from './tap/client-tls.js'
import { TIME_LIMITS, type TimeLimits } from './tap/connection.js'
import { type ListenAddress, ListenFailed, Tap } from './tap/listener.js'
import { createRing, RingProducer } from './tap/ring.js'
import { createTally, Tally } from './tap/tally.js'
import { readUpstream } from './upstream-facts.js'
import { connectOwn, type Environment, parseUpstream } from './upstream-url.js'

export type ProxyOptions = RunOptions & {
  /** All of them lead to the same server and into the same recording. */
  readonly listen: ListenAddress | readonly ListenAddress[]
  /** What clients that ask for TLS are shown; without it there is none. */
  readonly tls?: ClientTls
  /** `postgresql://…`; its credentials read the catalog, clients bring their own. */
  readonly upstream: string
  readonly force?: boolean
  readonly key: Key
  readonly policy: Policy
  /** Name and version of the program. */
  readonly madeBy: string
  /** PG* variables count as for psql. */
  readonly env?: Environment
  readonly ringBytes?: number
  readonly segmentBytesMax?: number
  readonly drainLimits?: DrainLimits
  /** The share that is recorded; everything without it. */
  readonly choice?: Choice
  readonly timeLimits?: Partial<TimeLimits>
  /** How the drain's thread is started; a test may want to hold it. */
  readonly startDrain?: typeof startDrain
}

const RING_BYTES = 64 * 1024 * 1024

export async function startProxyRecording(options: ProxyOptions): Promise<ProxyRecording> {
  const target = parseUpstream(options.upstream, options.env ?? {})
  const listen = [options.listen].flat()
  await prepareListen(listen, target.upstream)
  const { catalog, server } = await readUpstream(target)

  const startedAtMs = Date.now()
  const startedAt = performance.now()
  const startedNs = hrtime.bigint()
  const shared = { ring: createRing(options.ringBytes ?? RING_BYTES), tally: createTally() }
  const ring = new RingProducer(shared.ring)
  const tally = new Tally(shared.tally)
  const events = new EventEmitter<ProxyEvents>()
  const nowUs = () => Math.round((performance.now() - startedAt) * 1000)
  const tell = (kind: string, detail: string) => events.emit('incident', { atUs: nowUs(), kind, detail })
  const choice = options.choice ?? EVERYTHING
  const tap = new Tap({
    limits: { ...TIME_LIMITS, ...options.timeLimits },
    chooses: (session, { user = '', database = user, application_name: application = '' }) =>
      choosesSession(choice, session, { database, user, application }),
    listen,
    upstream: target.upstream,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ring,
    tally,
    nowUs,
    onUpstreamFailed: (error) => tell('upstream', codeOf(error)),
    onBindingRefused: () => tell('channel binding', 'a client that insisted on it was refused'),
  })
  await tap.listen().catch((error: unknown) => {
    throw error instanceof ListenFailed ? cannotListen(error) : error
  })
  const facts: RecordingFacts = {
    madeBy: options.madeBy,
    source: 'proxy',
    startedAtMs,
    server: server(startedAt),
    catalog,
    privacy: { policyHash: policyHash(options.policy), keyFingerprint: keyFingerprint(options.key) },
  }
  try {
    const drain = await (options.startDrain ?? startDrain)(
      {
        ...shared,
        path: options.out,
        facts,
        startedNs,
        options: {
          force: options.force ?? false,
          ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
        },
        choice,
        masking: { key: options.key, policy: options.policy, catalog },
        ...(options.drainLimits === undefined ? {} : { limits: options.drainLimits }),
      },
      ({ kind, detail }) => tell(kind, detail),
    )
    return new ProxyRecording(options, {
      tap,
      ring,
      tally,
      drain,
      events,
      startedAtMs,
      nowUs,
      connectOwn: () => connectOwn(target),
    })
  } catch (error) {
    tap.stopListening()
    tap.destroyConnections()
    throw error
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? 'the server cannot be reached'
}
