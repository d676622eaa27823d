/**
 * Ten thousand discrepancies with one cause are one finding.
 *
 * Memory grows with the number of causes, not of discrepancies; beyond a bound of causes the rarest kinds of statement share one
 * line per kind, which says so.
 */
import { hash } from 'node:crypto'
import type { Finding, MismatchType, SubKind } from '../../segment/diff.js'
import type { ServerError } from '../../segment/outcome.js'
import { type Cause, mergeDetails, sameOrNothing } from './causes/cause.js'
import { errorSubject } from './causes/errors.js'
import { agreeingOf, conditionsOf, shownBy } from './causes/rows.js'
import { consequences, type Suspect } from './consequences.js'
import { OF_TABLE_LOCKS } from './lock-cause.js'

const EXAMPLES = 3
/** Stands for a finding where an error that broke a transaction is excused. */
export const UNSEEN = ''
const FINDINGS_MAX = 2_000
const FINGERPRINTS_MAX = 1_000
const NAMES_MAX = 1_000
const REFUSALS_MAX = 10_000
const DETAILS_MAX = 100
const DETAIL_SHARE = 0.8

export type FindingInput = {
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  readonly cause: Cause
  /** Of the columns that the cause explains: `users.email`. */
  readonly columns: readonly string[]
  /** Columns of tables that those are made of. */
  readonly madeOf: readonly string[]
  readonly fingerprint: string
  readonly atMs: number
  readonly alertId: string
  readonly seq: number
  readonly tables: readonly string[]
  readonly columnNames: ReadonlySet<string>
  /** Tables that its transaction wrote or meant to write. */
  readonly written: readonly string[]
  /** The rows that differ are rows that a broken transaction meant to write. */
  readonly tainted: boolean
  /** See `Suspect`. */
  readonly relievedBy?: string
  /** Statements it stands for; one unless said. */
  readonly count?: number
}

type Group = {
  readonly id: string
  readonly mismatch: MismatchType
  readonly subKind: SubKind
  readonly cause: Cause
  readonly columns: ReadonlySet<string>
  readonly madeOf: Set<string>
  readonly fingerprints: Set<string>
  readonly tables: Set<string>
  readonly columnNames: Set<string>
  readonly reach: Set<string>
  readonly firstSeq: number
  /** `fresh`: the first of its kind of statement. */
  readonly examples: { readonly alertId: string; readonly fresh: boolean }[]
  /** For causes that know how to merge what differs. */
  detail: string | null
  /** For the others: how often each was seen. */
  readonly details: Map<string | null, number>
  relievedBy: string
  count: number
  tainted: number
  firstAtMs: number
  lastAtMs: number
  order: number
}

export class Findings {
  readonly #groups = new Map<string, Group>()
  readonly #byId = new Map<string, Group>()
  readonly #refusals = new Set<string>()
  /** What transactions meant to write that an excused error broke. */
  readonly #unseen = new Set<string>()
  /** The first that a lock broke, of those. */
  #lockBrokeSeq = Infinity

  /** The finding's id, and the sentence as far as it is known by now. */
  add(input: FindingInput): { readonly findingId: string; readonly sentence: string } {
    const group = this.#group(input)
    group.count += input.count ?? 1
    if (input.tainted) group.tainted += 1
    group.relievedBy = input.relievedBy ?? ''
    noteDetail(group, input.cause)
    group.firstAtMs = Math.min(group.firstAtMs, input.atMs)
    group.lastAtMs = Math.max(group.lastAtMs, input.atMs)
    for (const table of input.tables) group.tables.add(table)
    for (const table of input.written) group.reach.add(table)
    if (group.madeOf.size < NAMES_MAX) for (const column of input.madeOf) group.madeOf.add(column)
    if (group.columnNames.size < NAMES_MAX) for (const name of input.columnNames) group.columnNames.add(name)
    // Examples of different statements tell more than three of the same.
    const fresh = !group.fingerprints.has(input.fingerprint)
    if (group.fingerprints.size < FINGERPRINTS_MAX) group.fingerprints.add(input.fingerprint)
    if (group.examples.length < EXAMPLES) group.examples.push({ alertId: input.alertId, fresh })
    else if (fresh) replaceRepeat(group.examples, input.alertId)
    return { findingId: group.id, sentence: group.cause.sentence(detailOf(group)) }
  }

  /** A statement of the transaction that the finding broke: what it meant to write is missing as well. */
  reaches(findingId: string, written: readonly string[]): void {
    const reach = findingId === UNSEEN ? this.#unseen : this.#byId.get(findingId)?.reach
    for (const table of written) reach?.add(table)
  }

  /** A transaction that an excused error broke, broke for a lock: what follows from it follows from those who lock. */
  lockBroke(seq: number): void {
    this.#lockBrokeSeq = Math.min(this.#lockBrokeSeq, seq)
  }

  /** The second run refuses by this constraint: it is there, whatever it let through besides. */
  refused(error: ServerError): void {
    if (this.#refusals.size < REFUSALS_MAX) this.#refusals.add(errorSubject(error))
  }

  /** Which findings follow from another one: from id to id. */
  consequences(): ReadonlyMap<string, string> {
    return consequences(
      [...this.#groups.values()].map((group) => {
        const one = suspect(group, group.subKind === 'error_vanished' && this.#refusals.has(group.cause.subject))
        return one.explainer === OF_TABLE_LOCKS ? { ...one, reach: this.#unseen, firstSeq: this.#lockBrokeSeq } : one
      }),
    )
  }

  /** Worst first: what was refused, then wrong answers, then latency; by count within each. */
  list(compared: number): readonly Finding[] {
    const roots = this.consequences()
    const followers = new Map<string, Group[]>()
    for (const [id, root] of roots) followers.set(root, [...(followers.get(root) ?? []), this.#byId.get(id)!])
    return [...this.#groups.values()]
      .filter(({ id }) => !roots.has(id))
      .map((group) => ({ group, finding: finding(group, followers.get(group.id) ?? [], compared) }))
      .sort(
        (a, b) =>
          severity(a.group) - severity(b.group) || b.finding.count - a.finding.count || a.group.order - b.group.order,
      )
      .map((one) => one.finding)
  }

  #group(input: FindingInput): Group {
    const { mismatch, subKind, cause, fingerprint } = input
    const what = [
      mismatch,
      subKind,
      cause.explainer,
      cause.subject,
      String(input.tainted),
      input.relievedBy ?? '',
      ...[...input.columns].sort(),
    ]
    // Nobody knows whether what is not explained has one cause: but for a table's own column, kinds of statement stay apart.
    const key = [...what, cause.explainer === 'unexplained' && !cause.subject.includes('.') ? fingerprint : ''].join(
      '\0',
    )
    const found = this.#groups.get(key)
    if (found !== undefined) return found
    if (this.#groups.size >= FINDINGS_MAX)
      return this.#open(['more', mismatch, subKind].join('\0'), { ...input, cause: moreCauses(cause), columns: [] })
    return this.#open(key, input)
  }

  #open(key: string, { mismatch, subKind, cause, columns, atMs, seq }: FindingInput): Group {
    const found = this.#groups.get(key)
    if (found !== undefined) return found
    const group: Group = {
      id: `f-${hash('sha256', key).slice(0, 12)}`,
      mismatch,
      subKind,
      cause,
      columns: new Set(columns),
      madeOf: new Set(),
      fingerprints: new Set(),
      tables: new Set(),
      columnNames: new Set(),
      reach: new Set(),
      firstSeq: seq,
      examples: [],
      detail: cause.detail,
      details: new Map(),
      relievedBy: '',
      count: 0,
      tainted: 0,
      firstAtMs: atMs,
      lastAtMs: atMs,
      order: this.#groups.size,
    }
    this.#groups.set(key, group)
    this.#byId.set(group.id, group)
    return group
  }
}

function finding(group: Group, followers: readonly Group[], compared: number): Finding {
  const all = [group, ...followers]
  const more = followers.reduce((sum, { count }) => sum + count, 0)
  const count = group.count + more
  return {
    findingId: group.id,
    mismatch: group.mismatch,
    subKind: group.subKind,
    cause: group.cause.sentence(detailOf(group)),
    explainer: group.cause.explainer,
    fingerprints: [...new Set(all.flatMap(({ fingerprints }) => [...fingerprints]))],
    columns: [...group.columns],
    count,
    ...(more === 0 ? {} : { follows: more }),
    trafficShare: compared === 0 ? 0 : Math.min(1, count / compared),
    firstAtMs: Math.min(...all.map(({ firstAtMs }) => firstAtMs)),
    lastAtMs: Math.max(...all.map(({ lastAtMs }) => lastAtMs)),
    exampleAlertIds: group.examples.map(({ alertId }) => alertId).filter((id) => id !== ''),
  }
}

function noteDetail(group: Group, { detail }: Cause): void {
  if (group.cause.merge !== sameOrNothing) group.detail = mergeDetails(group.cause, group.detail, detail)
  else if (group.details.size < DETAILS_MAX || group.details.has(detail))
    group.details.set(detail, (group.details.get(detail) ?? 0) + 1)
}

/** A detail that nearly all agree on is the truth about the cause; what is computed from it may look otherwise. */
function detailOf(group: Group): string | null {
  if (group.cause.merge !== sameOrNothing) return group.detail
  const seen = [...group.details.values()].reduce((sum, count) => sum + count, 0)
  for (const [detail, count] of group.details) if (count >= seen * DETAIL_SHARE) return detail
  return null
}

const NOTHING_SHOWN: ReadonlySet<string> = new Set()

function suspect(group: Group, refused: boolean): Suspect {
  const { cause, columns } = group
  return {
    ...group,
    explainer: cause.explainer,
    subject: cause.subject,
    detail: detailOf(group),
    refused,
    conditions: cause.explainer.startsWith('rows.') ? conditionsOf(group.detail) : [],
    agreeing: cause.explainer.startsWith('rows.') ? agreeingOf(group.detail) : [],
    shown: cause.explainer.startsWith('rows.') ? shownBy(group.detail) : NOTHING_SHOWN,
    columns: [...columns],
    telling: cause.sentence(detailOf(group)) !== cause.sentence(null),
  }
}

function replaceRepeat(examples: Group['examples'], alertId: string): void {
  const repeat = examples.findIndex(({ fresh }) => !fresh)
  if (repeat >= 0) examples[repeat] = { alertId, fresh: true }
}

function moreCauses(cause: Cause): Cause {
  return {
    ...cause,
    explainer: 'unexplained',
    subject: '',
    detail: '',
    sentence: () => `further causes (more than ${FINDINGS_MAX} were found)`,
  }
}

const SEVERITY: Readonly<Record<MismatchType, number>> = {
  SCHEMA_CONSTRAINT_VIOLATION: 0,
  SQL_ERROR: 0,
  SEMANTIC_MISMATCH: 1,
  LATENCY_SPIKE: 2,
}

function severity({ mismatch }: Group): number {
  return SEVERITY[mismatch]
}
