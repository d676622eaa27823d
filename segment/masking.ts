/**
 * What masking means for a statement: where its tokens may not stand for the values, and which of its values no column explains.
 */

/** A masked column used in a way that its tokens may not stand for. */
export type MaskingCaution = {
  /** `public.users.email`, or `a literal in title`. */
  readonly name: string
  /** The policy's word for what the column holds. */
  readonly kind: string
  /**
   * `pattern`, `order`, `derive`, `fold`, `json_text`; `kinds`: two columns meet whose tokens are of different kinds; `unseen`: the columns
   * of this table, or what this function makes of its arguments, are not known.
   */
  readonly use: string
  readonly affects:
    | { readonly what: 'rows' | 'order' }
    | { readonly what: 'result'; readonly at: number }
    /** `public.users.nick`, stored from what was computed of it. */
    | { readonly what: 'stored'; readonly column: string }
}

/** A value whose column nobody could tell, so that the policy can be completed. */
export type Unresolved = {
  /** `$1`, or `literal 2`: the second of the text. */
  readonly slot: string
  readonly why: string
  /** What was done with it instead. */
  readonly rule: string
}

/** Per text; statements that raise no question have none. */
export type Masking = { readonly cautions: readonly MaskingCaution[]; readonly unresolved: readonly Unresolved[] }
