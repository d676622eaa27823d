/**
 * What is kept with a text about its masking: cautions for whoever compares, values without a column for whoever completes the policy.
 */
import type { Masking } from '../segment/masking.js'
import type { SlotFacts } from '../sql/columns.js'
import { defaultKind } from './policy/columns.js'

import { remember } from './shapes.js'
import type { SqlFacts } from './statement.js'
import type { TypeFacts } from './types.js'

/** `typeOids` as the server resolved the parameters. The same object again for the same question: it is stored once. */
export type MaskingOf = (facts: SqlFacts, statement: number, typeOids: readonly number[]) => Masking | null

const VARIANTS_MAX = 100

/** `meant`: the type a slot's text says, where the client declared none; 0 where it does not say either. */
export function createMasking(
  typeOf: (oid: number) => TypeFacts,
  meant: (slot: SlotFacts | undefined) => number,
): MaskingOf {
  const known = new WeakMap<SqlFacts, Map<string, Masking | null>>()
  const last = new WeakMap<SqlFacts, { statement: number; typeOids: readonly number[]; masking: Masking | null }>()
  return (facts, statement, typeOids) => {
    if (facts.unmapped.length === 0 && facts.cautions.length === 0) return null
    const before = last.get(facts)
    // A statement that was prepared has the same types each time, in the same array.
    if (before?.typeOids === typeOids && before.statement === statement) return before.masking
    let variants = known.get(facts)
    if (variants === undefined) {
      variants = new Map()
      known.set(facts, variants)
    }
    const name = `${statement} ${typeOids.join(' ')}`
    let masking = variants.get(name)
    if (masking === undefined) {
      masking = maskingOf(facts, statement, (parameter) =>
        typeOf(typeOids[parameter - 1] || meant(facts.parameters.get(parameter))),
      )
      remember(variants, name, masking, VARIANTS_MAX)
    }
    last.set(facts, { statement, typeOids, masking })
    return masking
  }
}

function maskingOf(facts: SqlFacts, statement: number, typeOf: (parameter: number) => TypeFacts): Masking | null {
  const cautions = facts.statements[statement]?.cautions ?? []
  // The values of a text with several statements are listed once, with the first.
  const unresolved = (statement === 0 ? facts.unmapped : []).map(({ slot, why, parameter }) => ({
    slot,
    why,
    rule: parameter === null ? FREE_TEXT : ruleOf(typeOf(parameter)),
  }))
  return cautions.length + unresolved.length === 0 ? null : { cautions, unresolved }
}

const FREE_TEXT = 'masked as text, unless it is a word of SQL or the schema'

function ruleOf(type: TypeFacts): string {
  const scalar = type.element ?? type
  if (scalar.class === 'text' || scalar.class === 'unknown') return FREE_TEXT
  const kind = defaultKind(type)
  return kind === 'keep'
    ? `kept, as every ${WORDS[scalar.class] ?? scalar.class} that no column explains`
    : `masked as ${kind}`
}

const WORDS: Readonly<Partial<Record<TypeFacts['class'], string>>> = {
  integer: 'number',
  boolean: 'truth value',
  time: 'time',
  enum: 'label of an enum',
  other: 'value of its type',
}
