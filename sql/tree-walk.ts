/**
 * Walking a parse tree without knowing every node: libpg_query wraps a node whose kind may vary as `{ Kind: body }`
 * and leaves the others bare; both are visited in the order of the text's fields.
 */

export type TreeNode = { readonly kind: string; readonly body: Readonly<Record<string, unknown>> }

/** The wrapped node in a value, if it is one. */
export function unwrap(value: unknown): TreeNode | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const keys = Object.keys(value)
  const kind = keys[0]
  if (keys.length !== 1 || kind === undefined || !/^[A-Z]/.test(kind)) return null
  const body = (value as Record<string, unknown>)[kind]
  return typeof body === 'object' && body !== null ? { kind, body: body as Record<string, unknown> } : null
}

/** Calls `visit` for every wrapped node under `value`, parents first; returning false keeps out of a node's children. */
export function walk(value: unknown, visit: (node: TreeNode) => boolean | undefined): void {
  if (typeof value !== 'object' || value === null) return
  const node = unwrap(value)
  if (node !== null && visit(node) === false) return
  for (const child of Object.values(node?.body ?? value)) walk(child, visit)
}

/** The list in a field of a node's body; empty when there is none. */
export function list(body: Readonly<Record<string, unknown>>, field: string): readonly unknown[] {
  const found = body[field]
  return Array.isArray(found) ? found : []
}

/** The names in a list of `{ String: { sval } }`; other members are left out. */
export function strings(values: readonly unknown[]): readonly string[] {
  return values.flatMap((value) => {
    const node = unwrap(value)
    return node?.kind === 'String' && typeof node.body.sval === 'string' ? [node.body.sval] : []
  })
}
