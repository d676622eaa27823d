/**
 * Real traffic for the privacy bench: the shop's applications recorded through the proxy, with everything kept, so that texts, parameters and
 * rows come to the masker as they came from the wire, as often and in the order in which they did.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadShop, policyPath, runTraffic } from '../fixtures/shop/shop.js'
import { readKey } from '../privacy/key.js'
import { parsePolicy } from '../privacy/policy/policy.js'
import { startProxyRecording } from '../recorder/proxy.js'
import { withAdmin } from '../replayer/shadow/connect.js'
import { startServer } from '../replayer/shadow/server.js'
import type { Catalog } from '../segment/catalog.js'
import { openRecording } from '../segment/recording.js'
import type { RecordedStatement } from '../segment/segment-reader.js'

export type Traffic = {
  readonly catalog: Catalog
  readonly policy: ReturnType<typeof parsePolicy>
  readonly statements: readonly RecordedStatement[]
}

const KEEP = 'version: 1\ncolumns:\n  "*.*.*": keep\n'
const STATEMENTS = 20_000

export async function shopTraffic(): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), 'pgrehearse-bench-'))
  const server = await startServer()
  try {
    await withAdmin(server.url(), (admin) => admin.query('CREATE DATABASE shop'))
    await loadShop(server.url('shop'), { scale: 0.2, seed: 3 })
    const recording = await startProxyRecording({
      listen: { host: '127.0.0.1', port: 0 },
      upstream: server.url('shop'),
      out: join(folder, 'recording'),
      key: readKey('00'.repeat(32)),
      policy: parsePolicy(KEEP, 'keep'),
      madeBy: 'bench',
      thresholds: {},
    })
    const url = Object.assign(new URL(server.url('shop')), { hostname: '127.0.0.1', port: String(recording.port) })
    await runTraffic({ url: url.toString(), sessions: 8, statements: STATEMENTS, seed: 3 })
    await recording.stop()
    const reader = openRecording(recording.path)
    const { catalog } = reader.manifest
    const statements = [...reader.statements()]
    reader.close()
    recording.close()
    return { catalog, policy: parsePolicy(readFileSync(policyPath, 'utf8'), policyPath), statements }
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Which part of the texts' literals, parameters and cells was among the latest 32,768 that were different. */
export function hotShare(statements: readonly RecordedStatement[]): number {
  const latest = new Set<string>()
  let seen = 0
  let all = 0
  const look = (value: string | null): void => {
    if (value === null || value === '') return
    all += 1
    if (latest.delete(value)) seen += 1
    else if (latest.size >= 1 << 15) latest.delete(latest.values().next().value!)
    latest.add(value)
  }
  for (const { sql, parameters, outcome } of statements) {
    for (const literal of sql.match(/'(?:[^']|'')*'/g) ?? []) look(literal)
    parameters.forEach(look)
    for (const row of outcome.rows ?? []) row.forEach(look)
  }
  return all === 0 ? 0 : seen / all
}
