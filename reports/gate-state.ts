/**
 * The gate's lines about table state: whether V2's tables hold what V1's became, and what the migration forgot. A diff that nobody
 * verified has nothing to judge here, and says so; `required` makes that an objection.
 */
import type { StateFinding, StateReport } from '../segment/state.js'
import { count, counted } from './format.js'
import type { GateLine, GateResult } from './gate.js'
import { type GateConfig, hasExpired, type StateOverride } from './gate-config.js'
import { plain } from './text.js'

export type JudgedState = {
  readonly lines: readonly GateLine[]
  readonly known: GateResult['known']
  readonly overrides: GateResult['stateOverrides']
}

type Limit = 'tables' | 'schema' | 'sequences'

const KINDS: Readonly<Record<StateFinding['kind'], Limit>> = {
  table_missing: 'tables',
  column_missing: 'tables',
  rows: 'tables',
  schema_missing: 'schema',
  schema_changed: 'schema',
  sequence_behind: 'sequences',
}

const TITLES: Readonly<Record<Limit, string>> = {
  tables: 'Tables that hold something else',
  schema: 'Schema that the migration forgot',
  sequences: 'Sequences that stand behind',
}

const NAMED_MAX = 4

export function judgeState(state: StateReport | null, config: GateConfig['state'], nowMs: number): JudgedState {
  const inForce = config.overrides.filter(({ until }) => !hasExpired(until, nowMs))
  const used = new Set<StateOverride>()
  const faults = (state?.findings ?? []).filter(({ fault }) => fault)
  const known = faults.flatMap((finding) => {
    const allowing = inForce.find((one) => allows(one, finding))
    if (!allowing) return []
    used.add(allowing)
    return [{ findingId: finding.findingId, reason: allowing.reason, until: allowing.until }]
  })
  const knownIds = new Set(known.map(({ findingId }) => findingId))
  const counting = faults.filter(({ findingId }) => !knownIds.has(findingId))
  return {
    lines: [
      ...(['tables', 'schema', 'sequences'] as const).map((limit) =>
        limitLine(limit, config[limit], state, counting, faults.length > counting.length),
      ),
      ...(config.required ? [verifiedLine(state)] : []),
    ],
    known,
    overrides: config.overrides.map((one) => ({
      object: one.object,
      reason: one.reason,
      until: one.until,
      state: !inForce.includes(one) ? 'expired' : used.has(one) ? 'applied' : 'unused',
    })),
  }
}

/** `users` and `public.users` name the same table. */
function allows({ object, allow }: StateOverride, finding: StateFinding): boolean {
  const bare = (name: string) => name.replace(/^public\./, '')
  return bare(object) === bare(finding.object) && (allow.length === 0 || allow.includes(finding.kind))
}

/** A table counts once, however many of its columns are gone; what a schema forgot counts piece by piece. */
function limitLine(
  limit: Limit,
  threshold: number,
  state: StateReport | null,
  counting: readonly StateFinding[],
  someKnown: boolean,
): GateLine {
  const of = counting.filter(({ kind }) => KINDS[kind] === limit)
  const objects = [...new Set(of.map(({ object }) => object))]
  const actual = limit === 'tables' ? objects.length : of.length
  const base = {
    id: `state.${limit}`,
    group: 'state',
    title: TITLES[limit],
    unit: 'count',
    bound: 'max',
    threshold,
    interval: null,
    findingIds: [],
    fingerprints: [],
  } as const
  if (!state) {
    const explanation = 'Nobody compared the tables after the replays; `pgrehearse verify --diff` does.'
    return { ...base, actual: null, outcome: 'not judged', explanation }
  }
  const fail = actual > threshold
  const named = objects.slice(0, NAMED_MAX).map(plain).join(', ')
  const more = objects.length > NAMED_MAX ? ` and ${count(objects.length - NAMED_MAX)} more` : ''
  const compared = limit === 'tables' ? `${counted(state.tables.length, 'table')} compared` : 'Compared'
  return {
    ...base,
    actual,
    outcome: fail ? 'fail' : 'pass',
    explanation: [
      actual === 0 ? `${compared}; none.` : `${compared}; ${count(actual)}: ${named}${more}.`,
      ...(someKnown ? ['Known differences left out.'] : []),
    ].join(' '),
    findingIds: fail ? of.map(({ findingId }) => findingId) : [],
  }
}

function verifiedLine(state: StateReport | null): GateLine {
  return {
    id: 'state.required',
    group: 'trust',
    title: 'Table state was compared',
    unit: 'count',
    bound: 'min',
    threshold: 1,
    actual: state ? 1 : 0,
    interval: null,
    outcome: state ? 'pass' : 'fail',
    explanation: state
      ? 'Compared after the replays.'
      : 'The gate asks for it, and `pgrehearse verify --diff` was not run.',
    findingIds: [],
    fingerprints: [],
  }
}
