/**
 * What the page carries but does not show at first: compressed parts that the browser unpacks when asked for. They are
 * inert text to the parser, so a page with 100,000 discrepancies opens like one with ten.
 */
import { gzipSync } from 'node:zlib'
import type { Discrepancy } from '../../segment/diff.js'
import { type Clock, toExample } from '../build-model.js'
import type { Example, ReportFinding, ReportModel } from '../model.js'
import { exampleUnfolded } from './example.js'
import { exampleLine } from './gist.js'
import { toWire, type Wire } from './html.js'
import { queryDetail, queryRow, ROWS_SHOWN_MAX } from './latency.js'

const ITEMS_PER_CHUNK = 100
const DETAILS_PER_CHUNK = 12
/** Of the compressed text in the page. What does not fit stays in the diff, and the page says so. */
const BYTES_MAX = 40_000_000
/** Details are read when looked for; a cell beyond this many rows is not. */
const ROWS_IN_DETAIL = { rowsMax: 20, pairsMax: 4 }

type Chunk = { readonly id: string; readonly base64: string }

export type Carried = {
  readonly chunks: readonly Chunk[]
  /** By finding: how many discrepancies are carried, and where. */
  readonly findings: ReadonlyMap<string, { readonly count: number; readonly chunkIds: readonly string[] }>
  readonly queryRows: readonly string[]
  readonly queryDetails: { readonly perChunk: number; readonly chunkIds: readonly string[] }
}

export function carry(
  model: ReportModel,
  discrepanciesOf: (findingId: string) => Iterable<Discrepancy>,
  clock: Clock,
  bytesMax = BYTES_MAX,
): Carried {
  const chunks: Chunk[] = []
  let bytes = 0
  const pack = (items: readonly unknown[]): string => {
    const chunk = { id: `chunk-${chunks.length}`, base64: gzipSync(JSON.stringify(items)).toString('base64') }
    chunks.push(chunk)
    bytes += chunk.base64.length
    return chunk.id
  }
  const { queries } = model.latency
  const queryDetails = batches(queries, DETAILS_PER_CHUNK).map((batch) =>
    pack(batch.map((query) => toWire(queryDetail(query, model)))),
  )
  const rows = queries.slice(ROWS_SHOWN_MAX).map((query, i) => toWire(queryRow(query, ROWS_SHOWN_MAX + i, model)))
  const queryRows = batches(rows, 500).map((batch) => pack(batch))
  const findings = new Map<string, { count: number; chunkIds: string[] }>()
  // Small findings first: when room runs out, it is the longest list that ends early.
  for (const finding of [...model.findings].sort((a, b) => a.count - b.count)) {
    const carried = { count: 0, chunkIds: [] as string[] }
    findings.set(finding.findingId, carried)
    if (finding.count <= finding.examples.length) continue
    for (const batch of batched(discrepanciesOf(finding.findingId), ITEMS_PER_CHUNK)) {
      if (bytes > bytesMax) break
      carried.chunkIds.push(
        pack(batch.map((one) => item(toExample(one, clock, ROWS_IN_DETAIL), model, isOther(one, finding)))),
      )
      carried.count += batch.length
    }
  }
  return { chunks, findings, queryRows, queryDetails: { perChunk: DETAILS_PER_CHUNK, chunkIds: queryDetails } }
}

/** Of another kind than its finding, so one of those that follow; those of the same kind cannot be told apart. */
function isOther(one: Discrepancy, finding: ReportFinding): boolean {
  return finding.follows !== undefined && (one.mismatch !== finding.mismatch || one.subKind !== finding.subKind)
}

/** Summary and body of one discrepancy; the browser builds the body when it is opened. */
function item(example: Example, model: ReportModel, follows: boolean): readonly [summary: Wire, body: Wire] {
  return [toWire(exampleLine(example, follows)), toWire(exampleUnfolded(example, model.diffPath))]
}

function batches<T>(items: readonly T[], size: number): T[][] {
  return [...batched(items, size)]
}

function* batched<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = []
  for (const one of items) {
    batch.push(one)
    if (batch.length === size) {
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}
