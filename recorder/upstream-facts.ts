/**
 * What a recording keeps of the server behind the proxy, read over a small connection of our own before traffic begins: the catalog,
 * settings that change results, and where its clock stands against ours.
 */
import type { Catalog } from '../segment/catalog.js'
import type { ServerFacts } from '../segment/manifest.js'
import { readCatalog, readServerClock, readServerFacts } from '../sql/read-catalog.js'
import { connectOwn, type UpstreamUrl } from './upstream-url.js'

type UpstreamFacts = {
  readonly catalog: Catalog
  /** Of a recording whose microsecond 0 is `startedAtMs` by performance.now(). */
  readonly server: (startedAtMs: number) => ServerFacts
}

export async function readUpstream(target: UpstreamUrl): Promise<UpstreamFacts> {
  const own = await connectOwn(target)
  try {
    const catalog = await readCatalog(own)
    const facts = await readServerFacts(own)
    const { serverUs, atMs, errorUs, nextXid } = await readServerClock(own)
    const zeroUs = (startedAtMs: number) => Math.round(serverUs + (startedAtMs - atMs) * 1000)
    return {
      catalog,
      server: (startedAtMs) => ({ ...facts, clock: { zeroUs: zeroUs(startedAtMs), errorUs, nextXid } }),
    }
  } finally {
    await own.end()
  }
}
