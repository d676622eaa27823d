/**
 * One hash that stands for a whole outcome, for people and for other tools. Comparison uses the digests, which can forget a column.
 */
import { hash } from 'node:crypto'
import type { Outcome } from './outcome.js'

/** 32 bytes. Names of columns count, their types do not: int4 to int8 is no other answer. */
export function resultSha256Bytes(outcome: Outcome): Buffer {
  const head = JSON.stringify([
    outcome.error?.sqlstate ?? null,
    outcome.tag,
    outcome.rowCount,
    outcome.columns?.map((column) => column.name) ?? null,
  ])
  const bytes = outcome.digest === null ? head : Buffer.concat([Buffer.from(head), outcome.digest])
  return hash('sha256', bytes, 'buffer')
}

/** `sha256_…`, as in `production_result_digest`. */
export function resultSha256(outcome: Outcome): string {
  return `sha256_${resultSha256Bytes(outcome).toString('hex')}`
}
