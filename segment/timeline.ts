/**
 * A recording's timeline: who sent what, when, as typed arrays in the order of sending. What planning and pacing need, at about
 * 45 bytes a statement; parameters and outcomes stay on disk.
 */
import type { Text as FullText } from './dictionary.js'
import type { StatementHead } from './segment-reader.js'

type Text = Pick<FullText, 'sql' | 'fingerprint'>

export type Timeline = {
  readonly count: number
  readonly seq: Float64Array
  readonly session: Uint32Array
  readonly ordinal: Uint32Array
  readonly transaction: Float64Array
  readonly part: Uint16Array
  readonly sentUs: Float64Array
  readonly doneUs: Float64Array
  /** Index into `texts`. */
  readonly textId: Uint32Array
  /** 1: the statement's transaction wrote. */
  readonly readWrite: Uint8Array
  /** 1: the statement ended in an error. */
  readonly failed: Uint8Array
  readonly texts: readonly Text[]
}

export function timelineOf(heads: Iterable<StatementHead>, count: number): Timeline {
  const texts: Text[] = []
  const textIds = new Map<string, number>()
  const timeline = {
    count,
    seq: new Float64Array(count),
    session: new Uint32Array(count),
    ordinal: new Uint32Array(count),
    transaction: new Float64Array(count),
    part: new Uint16Array(count),
    sentUs: new Float64Array(count),
    doneUs: new Float64Array(count),
    textId: new Uint32Array(count),
    readWrite: new Uint8Array(count),
    failed: new Uint8Array(count),
    texts,
  }
  let i = 0
  for (const head of heads) {
    let textId = textIds.get(head.sql)
    if (textId === undefined) {
      textId = texts.length
      textIds.set(head.sql, textId)
      texts.push({ sql: head.sql, fingerprint: head.fingerprint })
    }
    timeline.seq[i] = head.seq
    timeline.session[i] = head.session
    timeline.ordinal[i] = head.ordinal
    timeline.transaction[i] = head.transaction
    timeline.part[i] = head.part
    timeline.sentUs[i] = head.sentUs
    timeline.doneUs[i] = head.doneUs
    timeline.textId[i] = textId
    timeline.readWrite[i] = head.scope === 'READ_WRITE' ? 1 : 0
    timeline.failed[i] = head.failed ? 1 : 0
    i += 1
  }
  return timeline
}
