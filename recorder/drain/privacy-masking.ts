/** TEMPORARY pass-through until privacy/masker.ts exists. */

import type { Key } from '../../privacy/key.js'
import type { Policy } from '../../privacy/policy/policy.js'
import type { Catalog } from '../../segment/catalog.js'
import type { SafeSql } from '../../segment/statement.js'
import { fingerprint } from '../../sql/parse.js'
import type { Masking } from './masking.js'
export type MaskingSettings = { readonly key: Key; readonly policy: Policy; readonly catalog: Catalog }

export function createMasking(_settings: MaskingSettings): Masking {
  return {
    text: (sql) => ({
      sql: sql as SafeSql,
      fingerprint: fingerprint(sql),
      writes: !/^\s*select/i.test(sql),
      unreplayable: null,
    }),
    parameters: (_text, values) => values,
    rows: () => (cells) => cells,
    error: (fields) => ({ sqlstate: fields.C ?? '', message: fields.M ?? '' }),
    loose: (value) => value,
    copy: (_text, data) => data,
  }
}
