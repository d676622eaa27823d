/**
 * Plans as the model carries them: the tree as lines, bounded, so that neither a plan of a thousand partitions nor a condition of a
 * thousand values makes a page heavy.
 */
import type { ExplainedPlan, IndexSuggestion, PlanChange, PlanEvidence, PlanNode } from '../segment/explained.js'
import { clip } from './text.js'

const PLANS_MAX = 60
const NODES_MAX = 60
const TEXT_CHARACTERS_MAX = 400
const SENTENCES_MAX = 12

export type PlanLine = Omit<PlanNode, 'children'> & { readonly depth: number }

export type PlanView = Omit<ExplainedPlan, 'root'> & {
  readonly lines: readonly PlanLine[]
  /** Nodes beyond those. */
  readonly more: number
}

export type ReportPlan = {
  readonly fingerprint: string
  readonly before: PlanView | null
  readonly after: PlanView | null
  readonly notExplained: string
  readonly changes: readonly PlanChange[]
  readonly reading: string
  readonly suggestion: IndexSuggestion | null
}

export function reportPlans(plans: readonly PlanEvidence[]): ReportPlan[] {
  return plans
    .slice(0, PLANS_MAX)
    .map(({ fingerprint, before, after, notExplained, changes, reading, suggestion }) => ({
      fingerprint,
      before: before && viewOf(before),
      after: after && viewOf(after),
      notExplained: clip(notExplained, TEXT_CHARACTERS_MAX),
      changes: changes
        .slice(0, SENTENCES_MAX)
        .map(({ kind, sentence }) => ({ kind, sentence: clip(sentence, TEXT_CHARACTERS_MAX) })),
      reading: clip(reading, 4 * TEXT_CHARACTERS_MAX),
      suggestion,
    }))
}

function viewOf({ root, ...rest }: ExplainedPlan): PlanView {
  const all = linesOf(root)
  return { ...rest, lines: all.slice(0, NODES_MAX).map(clipped), more: Math.max(0, all.length - NODES_MAX) }
}

/** Depth first, as EXPLAIN prints it; without recursion, because a plan may be deep. */
function linesOf(root: PlanNode): PlanLine[] {
  const lines: PlanLine[] = []
  const open: { readonly node: PlanNode; readonly depth: number }[] = [{ node: root, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { children, ...line } = next.node
    lines.push({ ...line, depth: next.depth })
    for (const child of [...children].reverse()) open.push({ node: child, depth: next.depth + 1 })
  }
  return lines
}

function clipped(line: PlanLine): PlanLine {
  return {
    ...line,
    condition: clip(line.condition, TEXT_CHARACTERS_MAX),
    filter: clip(line.filter, TEXT_CHARACTERS_MAX),
  }
}
