/**
 * Two plans of one statement: what is different, and what that means. Pure, on plain trees.
 *
 * Only what can make a statement slower is told: a table read whole where an index led to the rows, a trigger that costs most of the
 * time, settings of the planner, a sort or hash that no longer fits into memory, another join, many more pages, a guess that is far
 * off. Tables may have other names on the second side (a migration split them), so scans are compared by how much they read.
 */
import type { ExplainedPlan, PlanChange, PlanNode } from '../../../segment/explained.js'
import { nodesOf } from './plan-tree.js'

/** So many rows read in vain are a cost. */
const READ_MIN = 100
/** So many times more than before. */
const TIMES_MORE = 4
/** So much of the time. */
const TRIGGER_SHARE = 0.2
const PAGES_TIMES = 3
const PAGES_MIN = 50
/** The planner was wrong by so much, where it was not before. */
const GUESS_TIMES = 10

export function planChanges(before: ExplainedPlan, after: ExplainedPlan): readonly PlanChange[] {
  const found = [
    ...settingChanges(before, after),
    ...triggerChanges(before, after),
    ...guesses(before, after),
    ...scanChanges(before, after),
    ...spills(before, after),
    ...joinChanges(before, after),
    ...pageChanges(before, after),
  ]
  if (found.length > 0) return found
  const [was, is] = [shapeOf(before.root), shapeOf(after.root)]
  return was === is ? [] : [{ kind: 'shape', sentence: `V2 runs ${is} where V1 ran ${was}` }]
}

/** The likely reason, in a sentence or two; empty where the plans say nothing. `index`: what was suggested, and whether it helped. */
export function readingOf(changes: readonly PlanChange[], after: ExplainedPlan, suggestion: string): string {
  // Whoever guesses wrongly reads tables whole for it; an index that was tried and helps says that the guess was not it.
  const first = (suggestion === '' ? undefined : changes.find(({ kind }) => kind === 'scan')) ?? changes[0]
  if (first === undefined) return ''
  const whole = worstScan(after)
  const why = {
    scan: suggestion !== '' ? suggestion : whole === null ? '' : `likely a missing index on ${whole.relation}`,
    trigger: '',
    setting: '',
    spill: 'likely too little work_mem, or more rows than before',
    estimate: 'likely stale statistics: ANALYZE after the migration',
    join: '',
    work: '',
    shape: '',
  }[first.kind]
  return why === '' ? first.sentence : `${first.sentence}: ${why}`
}

/** A table that is read from its first row to its last, and how many rows that is. */
export function worstScan({ root }: ExplainedPlan): PlanNode | null {
  const scans = [...nodesOf(root)].filter((node) => isWhole(node) && node.relation !== '')
  const worst = scans.reduce<PlanNode | null>((a, b) => (a === null || rowsRead(b) > rowsRead(a) ? b : a), null)
  return worst !== null && rowsRead(worst) >= READ_MIN ? worst : null
}

function isWhole({ operation }: PlanNode): boolean {
  return operation === 'Seq Scan'
}

function rowsRead({ rows, rowsRemoved, loops }: PlanNode): number {
  return (rows + rowsRemoved) * Math.max(1, loops)
}

function scanChanges(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const worst = worstScan(after)
  if (worst === null) return []
  const read = rowsRead(worst)
  const whole = [...nodesOf(before.root)].filter(isWhole)
  const same = whole.filter(({ relation }) => relation === worst.relation)
  const was = Math.max(0, ...(same.length > 0 ? same : whole).map(rowsRead))
  if (was * TIMES_MORE > read) return []
  const indexes = [...new Set([...nodesOf(before.root)].map(({ index }) => index).filter((index) => index !== ''))]
  const led = indexes.length === 0 ? '' : ` where V1 used ${indexes.slice(0, 2).join(' and ')}`
  const times = worst.loops > 1 ? `, ${words(worst.loops)} times over` : ''
  return [
    {
      kind: 'scan',
      sentence: `V2 reads all ${words(read / Math.max(1, worst.loops))} rows of ${worst.relation}${times}${led}`,
    },
  ]
}

function triggerChanges(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  return [...after.triggers]
    .sort((a, b) => b.ms - a.ms)
    .flatMap(({ name, relation, ms }): PlanChange[] => {
      const was = before.triggers.filter((one) => one.name === name).reduce((sum, one) => sum + one.ms, 0)
      if (ms < after.executionMs * TRIGGER_SHARE || was * TIMES_MORE > ms) return []
      const on = relation === '' ? '' : ` of ${relation}`
      const then = was === 0 ? '' : `, where it took ${milliseconds(was)}`
      const all = milliseconds(after.executionMs)
      return [{ kind: 'trigger', sentence: `trigger ${name}${on} takes ${milliseconds(ms)} of V2's ${all}${then}` }]
    })
}

function settingChanges(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const names = [...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])].sort()
  return names.flatMap((name): PlanChange[] => {
    const [was, is] = [before.settings[name], after.settings[name]]
    if (was === is) return []
    const sentence =
      is === undefined
        ? `V1 has ${name} = ${was}, V2 the default`
        : `V2 has ${name} = ${is}, V1 ${was === undefined ? 'the default' : was}`
    return [{ kind: 'setting', sentence }]
  })
}

function spills(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const spilling = ({ root }: ExplainedPlan) => [...nodesOf(root)].filter(({ pagesSpilt }) => pagesSpilt > 0)
  const [deepest] = spilling(after).reverse()
  if (deepest === undefined || spilling(before).length > 0) return []
  return [{ kind: 'spill', sentence: `V2's ${deepest.operation} spills ${words(deepest.pagesSpilt)} pages to disk` }]
}

function guesses(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const worst = worstGuess(after)
  const then = worstGuess(before)
  if (worst === null || worst.factor < GUESS_TIMES || (then !== null && then.factor * TIMES_MORE > worst.factor))
    return []
  const { operation, relation, rows, rowsPlanned } = worst.node
  const where = relation === '' ? operation : `${operation} on ${relation}`
  return [
    {
      kind: 'estimate',
      sentence: `V2's planner expected ${words(rowsPlanned)} rows of ${where} and got ${words(rows)}`,
    },
  ]
}

function worstGuess({ root }: ExplainedPlan): { readonly node: PlanNode; readonly factor: number } | null {
  const guessed = [...nodesOf(root)].flatMap((node) => {
    if (node.loops === 0 || Math.max(node.rows, node.rowsPlanned) < READ_MIN) return []
    const [a, b] = [Math.max(1, node.rows), Math.max(1, node.rowsPlanned)]
    return [{ node, factor: Math.max(a / b, b / a) }]
  })
  return guessed.reduce<(typeof guessed)[number] | null>((a, b) => (a === null || b.factor > a.factor ? b : a), null)
}

const JOINS = new Set(['Nested Loop', 'Hash Join', 'Merge Join'])

function joinChanges(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const joins = ({ root }: ExplainedPlan) =>
    [...nodesOf(root)].map(({ operation }) => operation).filter((operation) => JOINS.has(operation))
  const [was, is] = [joins(before), joins(after)]
  if ([...was].sort().join() === [...is].sort().join()) return []
  const sentence =
    was.length === 0
      ? `V2 joins (${is.join(', ')}) where V1 read one table`
      : `V2 joins by ${is.join(', ') || 'nothing'} where V1 joined by ${was.join(', ')}`
  return [{ kind: 'join', sentence }]
}

function pageChanges(before: ExplainedPlan, after: ExplainedPlan): PlanChange[] {
  const pages = ({ root }: ExplainedPlan) => root.pagesHit + root.pagesRead
  const [was, is] = [pages(before), pages(after)]
  if (is < PAGES_MIN || is < was * PAGES_TIMES) return []
  return [{ kind: 'work', sentence: `V2 looks at ${words(is)} pages where V1 looked at ${words(was)}` }]
}

/** `Limit(Index Scan orders_customer_idx)`. */
function shapeOf({ operation, index, relation, children }: PlanNode): string {
  const name = [operation, index || relation].filter((part) => part !== '').join(' ')
  return children.length === 0 ? name : `${name}(${children.map(shapeOf).join(', ')})`
}

function words(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

function milliseconds(ms: number): string {
  return `${ms >= 100 ? Math.round(ms) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`
}
