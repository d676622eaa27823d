/**
 * gate.yaml: what the candidate has to satisfy. Everything has a cautious default, so an empty file is a strict gate.
 *
 * A mistake in the file is answered with its line and, for a misspelt name, the name that was probably meant. Snake case
 * in the file, as in the database; units last.
 */
import { z } from 'zod'
import type { StateFinding } from '../segment/state.js'
import { readYaml } from './yaml.js'

const limitCount = z.int().min(0)
const limitShare = z
  .union(
    [
      z.number(),
      z
        .string()
        .regex(/^\d+(\.\d+)?\s*%$/)
        .transform((text) => Number.parseFloat(text) / 100),
    ],
    {
      error: 'a share is written 0.001 or "0.1%"',
    },
  )
  .refine((value) => value >= 0 && value <= 1, 'a share lies between 0 and 1, or 0% and 100%')
const limitRatio = z.number().min(1, 'a ratio is V2 / V1: 1.25 allows a quarter more').max(1000)

export const MISMATCH_TYPES = [
  'SEMANTIC_MISMATCH',
  'SQL_ERROR',
  'SCHEMA_CONSTRAINT_VIOLATION',
  'LATENCY_SPIKE',
] as const
const SUB_KINDS = [
  'row_count',
  'rows_missing',
  'rows_extra',
  'values',
  'column_set',
  'order',
  'error_vanished',
  'error_changed',
  'error_new',
  'latency',
] as const

const STATE_KINDS = [
  'table_missing',
  'column_missing',
  'rows',
  'schema_missing',
  'schema_changed',
  'sequence_behind',
] as const satisfies readonly StateFinding['kind'][]

const kind = z.enum([...MISMATCH_TYPES, ...SUB_KINDS])
const ratios = z.strictObject({ p50: limitRatio.optional(), p95: limitRatio.optional(), p99: limitRatio.optional() })

const until = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'a day is written 2027-01-31')
  .refine(isDay, 'no such day')
const reason = z.string().trim().min(1, 'an exception needs a reason')

const stateOverride = z.strictObject({
  object: z.string().min(1),
  allow: z.array(z.enum(STATE_KINDS)).nonempty().optional(),
  until,
  reason,
})

const override = z
  .strictObject({
    query: z.string().regex(/^[0-9a-f]{16}$/, 'a fingerprint is 16 hexadecimal digits, as the report shows it'),
    allow: z.array(kind).nonempty().optional(),
    latency: ratios.optional(),
    until,
    reason,
  })
  .refine(
    (value) => value.allow !== undefined || value.latency !== undefined,
    'an override allows kinds or sets latency',
  )

const file = z.strictObject({
  findings: z.partialRecord(kind, limitCount).optional(),
  mismatch_rate: limitShare.optional(),
  error_rate: limitShare.optional(),
  latency: z
    .strictObject({
      overall: ratios.optional(),
      per_query: ratios.optional(),
      weighted: limitRatio.optional(),
      executions_min: z.int().min(1).optional(),
      difference_ms_min: z.number().min(0).optional(),
    })
    .optional(),
  trust: z
    .strictObject({
      compared_min: limitShare.optional(),
      lost: limitShare.optional(),
      order_relaxed: limitShare.optional(),
      lateness_p95_ms: z.number().positive().optional(),
      event_loop_utilisation: limitShare.optional(),
      fidelity_min: limitShare.optional(),
    })
    .optional(),
  state: z
    .strictObject({
      tables: limitCount.optional(),
      schema: limitCount.optional(),
      sequences: limitCount.optional(),
      required: z.boolean().optional(),
      overrides: z.array(stateOverride).optional(),
    })
    .optional(),
  streak: z.strictObject({ runs: z.int().min(2).max(365) }).optional(),
  overrides: z
    .array(override)
    .superRefine((all, context) => {
      for (const [i, { query }] of all.entries()) {
        if (all.findIndex((other) => other.query === query) === i) continue
        context.addIssue({
          code: 'custom',
          path: [i, 'query'],
          message: `two overrides name ${query}; join them in one`,
        })
      }
    })
    .optional(),
})

export type FindingKind = z.infer<typeof kind>

type RatioLimits = { readonly p50?: number; readonly p95?: number; readonly p99?: number }

export type Override = {
  readonly query: string
  readonly allow: readonly FindingKind[]
  readonly latency: RatioLimits
  /** Last day (UTC) on which it counts. */
  readonly until: string
  readonly reason: string
}

export type StateOverride = {
  /** A table, a view, a function, a sequence: as the report names it. */
  readonly object: string
  /** Empty: everything about it. */
  readonly allow: readonly StateFinding['kind'][]
  readonly until: string
  readonly reason: string
}

export type GateConfig = {
  /** Findings allowed, by kind. A sub-kind that has its own limit is not counted with its type. */
  readonly findings: Readonly<Partial<Record<FindingKind, number>>>
  readonly mismatchRate: number
  readonly errorRate: number
  readonly latency: {
    readonly overall: RatioLimits
    readonly perQuery: RatioLimits
    /** Time of all statements together, V2 / V1. */
    readonly weighted: number
    /** A query shape with fewer executions is not judged by itself. */
    readonly executionsMin: number
    /** A percentile that moved by less is not judged by its ratio: nobody notices 0.04 ms instead of 0.02. */
    readonly differenceMsMin: number
  }
  readonly trust: {
    readonly comparedMin: number
    readonly lost: number
    readonly orderRelaxed: number
    readonly latenessP95Ms: number
    /** undefined: left to the comparison, which knows whether the replay had to keep a schedule. */
    readonly eventLoopUtilisation?: number
    /** Of V1's replay to production, where that was measured. */
    readonly fidelityMin: number
  }
  /** What the databases hold after the replays, as far as `verify --diff` laid it into the diff. */
  readonly state: {
    readonly tables: number
    readonly schema: number
    readonly sequences: number
    /** A diff that nobody verified is INVALID. */
    readonly required: boolean
    readonly overrides: readonly StateOverride[]
  }
  /** How many rehearsals have to pass one after the other; undefined: this one suffices. */
  readonly streakRuns?: number
  readonly overrides: readonly Override[]
}

export const DEFAULT_GATE: GateConfig = {
  findings: { SEMANTIC_MISMATCH: 0, SQL_ERROR: 0, SCHEMA_CONSTRAINT_VIOLATION: 0, LATENCY_SPIKE: 0 },
  mismatchRate: 0,
  errorRate: 0,
  latency: {
    overall: { p50: 1.25, p95: 1.25, p99: 1.5 },
    perQuery: { p50: 1.5, p95: 3 },
    weighted: 1.25,
    executionsMin: 100,
    differenceMsMin: 0.25,
  },
  trust: { comparedMin: 0.95, lost: 0.001, orderRelaxed: 0.001, latenessP95Ms: 250, fidelityMin: 0.95 },
  state: { tables: 0, schema: 0, sequences: 0, required: false, overrides: [] },
  overrides: [],
}

/** `path` only names the file in messages. */
export function parseGateConfig(text: string, path: string): GateConfig {
  const given = readYaml(text, path, file, {
    code: 'GATE_CONFIG_INVALID',
    hint: 'Correct the file; docs/gate.md lists every setting with its default.',
  })
  const { overall, per_query: perQuery } = given.latency ?? {}
  const base = DEFAULT_GATE
  return {
    findings: { ...base.findings, ...given.findings },
    mismatchRate: given.mismatch_rate ?? base.mismatchRate,
    errorRate: given.error_rate ?? base.errorRate,
    latency: {
      overall: { ...base.latency.overall, ...defined(overall) },
      perQuery: { ...base.latency.perQuery, ...defined(perQuery) },
      weighted: given.latency?.weighted ?? base.latency.weighted,
      executionsMin: given.latency?.executions_min ?? base.latency.executionsMin,
      differenceMsMin: given.latency?.difference_ms_min ?? base.latency.differenceMsMin,
    },
    trust: {
      comparedMin: given.trust?.compared_min ?? base.trust.comparedMin,
      lost: given.trust?.lost ?? base.trust.lost,
      orderRelaxed: given.trust?.order_relaxed ?? base.trust.orderRelaxed,
      latenessP95Ms: given.trust?.lateness_p95_ms ?? base.trust.latenessP95Ms,
      fidelityMin: given.trust?.fidelity_min ?? base.trust.fidelityMin,
      ...(given.trust?.event_loop_utilisation === undefined
        ? {}
        : { eventLoopUtilisation: given.trust.event_loop_utilisation }),
    },
    state: {
      tables: given.state?.tables ?? base.state.tables,
      schema: given.state?.schema ?? base.state.schema,
      sequences: given.state?.sequences ?? base.state.sequences,
      required: given.state?.required ?? base.state.required,
      overrides: (given.state?.overrides ?? []).map((one) => ({ ...one, allow: one.allow ?? [] })),
    },
    ...(given.streak === undefined ? {} : { streakRuns: given.streak.runs }),
    overrides: (given.overrides ?? []).map((one) => ({
      query: one.query,
      allow: one.allow ?? [],
      latency: defined(one.latency),
      until: one.until,
      reason: one.reason,
    })),
  }
}

const DAY_MS = 86_400_000

/** The last day counts in full, in UTC. */
export function hasExpired(lastDay: string, nowMs: number): boolean {
  return nowMs >= Date.parse(`${lastDay}T00:00:00Z`) + DAY_MS
}

/** An override with a day in the past is no mistake of the file; the gate says that it no longer counts. */
function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

function defined(limits: z.infer<typeof ratios> | undefined): RatioLimits {
  return Object.fromEntries(Object.entries(limits ?? {}).filter(([, value]) => value !== undefined))
}
