/** Records what some work does to a database, and reads it back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readKey } from '../../privacy/key.js'
import { parsePolicy } from '../../privacy/policy/policy.js'
import { type ProxyOptions, startProxyRecording } from '../../recorder/proxy.js'
import type { ProxyRecording } from '../../recorder/proxy-recording.js'
import type { Manifest } from '../../segment/manifest.js'
import { openRecording } from '../../segment/recording.js'
import type { RecordedStatement } from '../../segment/segment-reader.js'
import type { Session, SessionEvent } from '../../segment/statement.js'

export const KEY = readKey('0f'.repeat(32))
/** So that a test can name the values it expects. */
export const KEEP_ALL = parsePolicy('version: 1\ncolumns:\n  "*.*.*": keep\n', 'keep.yaml')

export type Recorded = {
  readonly manifest: Manifest
  readonly statements: RecordedStatement[]
  readonly events: SessionEvent[]
  readonly sessions: Session[]
}

export type Bench = {
  readonly folder: string
  start(upstream: string, options?: Partial<ProxyOptions>): Promise<ProxyRecording>
  remove(): void
}

export function bench(): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'pgrehearse-test-'))
  const started: ProxyRecording[] = []
  return {
    folder,
    async start(upstream, options = {}) {
      const recording = await startProxyRecording({
        listen: { host: '127.0.0.1', port: 0 },
        upstream,
        out: join(folder, `recording-${started.length}`),
        key: KEY,
        policy: KEEP_ALL,
        madeBy: 'test',
        // A busy machine would trip it; tests of the breaker say when.
        thresholds: {},
        ...options,
      })
      started.push(recording)
      return recording
    },
    remove() {
      for (const recording of started) {
        void recording.kill()
        recording.close()
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export function through(url: string, recording: ProxyRecording): string {
  return Object.assign(new URL(url), { port: String(recording.port), hostname: '127.0.0.1' }).toString()
}

export function read(path: string): Recorded {
  const reader = openRecording(path)
  const recorded = {
    manifest: reader.manifest,
    statements: [...reader.statements()],
    events: [...reader.events()],
    sessions: reader.sessions(),
  }
  reader.close()
  return recorded
}

/** One session's work through a proxy, then its recording. */
export async function recordOf(
  at: Bench,
  url: string,
  work: (url: string, recording: ProxyRecording) => Promise<unknown>,
  options: Partial<ProxyOptions> = {},
): Promise<Recorded> {
  const recording = await at.start(url, options)
  await work(through(url, recording), recording)
  await recording.stop()
  return read(recording.path)
}
