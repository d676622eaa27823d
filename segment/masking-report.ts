/**
 * What masking left open in a recording: values that no column explains, and uses that tokens do not stand for. Counted by shape.
 */
import type { MaskingCaution, Unresolved } from './masking.js'
import type { MaskedUse } from './usage.js'

/** Statements of one shape with values whose column nobody could tell. */
export type UnmappedStatement = {
  readonly fingerprint: string
  readonly sql: string
  readonly count: number
  readonly values: readonly Unresolved[]
}

/** How many statements use a masked column in such a way. */
export type CautionCount = Pick<MaskingCaution, 'name' | 'kind' | 'use'> & { readonly count: number }

export type MaskingReport = {
  readonly unmapped: readonly UnmappedStatement[]
  readonly cautions: readonly CautionCount[]
}

export function maskingReport(uses: Iterable<MaskedUse>): MaskingReport {
  const shapes = new Map<string, UnmappedStatement>()
  const cautions = new Map<string, CautionCount>()
  for (const { sql, fingerprint, masking, count } of uses) {
    if (masking.unresolved.length > 0) {
      const key = `${fingerprint || sql}\n${JSON.stringify(masking.unresolved)}`
      const same = shapes.get(key) ?? { fingerprint, sql, count: 0, values: masking.unresolved }
      shapes.set(key, { ...same, count: same.count + count })
    }
    for (const [key, caution] of distinct(masking.cautions)) {
      const same = cautions.get(key) ?? { ...caution, count: 0 }
      cautions.set(key, { ...same, count: same.count + count })
    }
  }
  return { unmapped: byCount(shapes.values()), cautions: byCount(cautions.values()) }
}

function distinct(
  cautions: readonly MaskingCaution[],
): ReadonlyMap<string, Pick<MaskingCaution, 'name' | 'kind' | 'use'>> {
  return new Map(cautions.map(({ name, kind, use }) => [`${name} ${use}`, { name, kind, use }]))
}

function byCount<One extends { readonly count: number }>(all: Iterable<One>): readonly One[] {
  return [...all].sort((a, b) => b.count - a.count)
}
