/**
 * EXPLAIN's JSON to the tree that a diff keeps. Pure; what a server leaves out (no ANALYZE, no BUFFERS) counts as nothing.
 */
import type { ExplainedPlan, PlanNode, PlanTrigger } from '../../../segment/explained.js'

type Json = Readonly<Record<string, unknown>>

/** What `EXPLAIN (FORMAT JSON)` answers: one document with one plan. null: it is not that. */
export function explainedPlan(document: unknown): ExplainedPlan | null {
  const [first] = Array.isArray(document) ? document : []
  if (!isJson(first) || !isJson(first.Plan)) return null
  const settings = isJson(first.Settings) ? first.Settings : {}
  return {
    root: planNode(first.Plan),
    cost: number(first.Plan['Total Cost']),
    planningMs: number(first['Planning Time']),
    executionMs: number(first['Execution Time']),
    triggers: (Array.isArray(first.Triggers) ? first.Triggers : []).filter(isJson).map(planTrigger),
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
  }
}

function planTrigger(trigger: Json): PlanTrigger {
  const name = text(trigger['Trigger Name']) || text(trigger['Constraint Name'])
  return { name, relation: text(trigger.Relation), calls: number(trigger.Calls), ms: number(trigger.Time) }
}

const CONDITIONS = ['Index Cond', 'Recheck Cond', 'Hash Cond', 'Merge Cond', 'TID Cond']
const FILTERS = ['Filter', 'Join Filter', 'One-Time Filter']

function planNode(node: Json): PlanNode {
  const schema = text(node.Schema)
  const name = text(node['Relation Name'])
  const loops = number(node['Actual Loops'])
  const keys = Array.isArray(node['Sort Key']) ? node['Sort Key'].map(String).join(', ') : ''
  return {
    operation: operationOf(node),
    relation: schema === '' || schema === 'public' || name === '' ? name : `${schema}.${name}`,
    index: text(node['Index Name']),
    condition: CONDITIONS.map((key) => text(node[key])).find((one) => one !== '') ?? keys,
    filter: FILTERS.map((key) => text(node[key])).find((one) => one !== '') ?? '',
    rowsRemoved: number(node['Rows Removed by Filter']) + number(node['Rows Removed by Join Filter']),
    rowsPlanned: number(node['Plan Rows']),
    rows: number(node['Actual Rows']),
    loops,
    ms: number(node['Actual Total Time']) * loops,
    pagesHit: number(node['Shared Hit Blocks']),
    pagesRead: number(node['Shared Read Blocks']),
    pagesSpilt: number(node['Temp Written Blocks']),
    children: (Array.isArray(node.Plans) ? node.Plans : []).filter(isJson).map(planNode),
  }
}

/** `Insert`, not `ModifyTable`; `Index Scan Backward` is an index scan. */
function operationOf(node: Json): string {
  const type = text(node['Node Type'])
  return type === 'ModifyTable' ? text(node.Operation) || type : type
}

/** A node and everything below it, from the top. */
export function* nodesOf(node: PlanNode): Generator<PlanNode> {
  yield node
  for (const child of node.children) yield* nodesOf(child)
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
