/**
 * Paths of a policy laid over paths of a document: `contact.email`, `tags[*]`, `*.name`, `**`.
 */
import type { Kind } from '../kinds.js'
import type { JsonRule } from '../policy/policy.js'

export type KindAt = (path: readonly string[]) => Exclude<Kind, 'json'> | null

/** null: no rule names the path. The first rule that matches decides. */
export function kindAtPath(rules: readonly JsonRule[]): KindAt {
  const parsed = rules.map((rule) => ({ steps: stepsOf(rule.path), kind: rule.kind }))
  const known = new Map<string, Exclude<Kind, 'json'> | null>()
  return (path) => {
    const key = path.join('\u0000')
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const kind = parsed.find((rule) => matches(rule.steps, path, 0, 0))?.kind ?? null
    // Documents whose keys are data (`{"alice@…": 1}`) must not fill the memory.
    if (known.size < 10_000) known.set(key, kind)
    return kind
  }
}

/** `$.a.b[*].c` and `a.b[].c` are the same path. */
export function stepsOf(path: string): readonly string[] {
  return path
    .replace(/^\$\.?/, '')
    .replace(/\[(?:\d*|\*)\]/g, '.[*]')
    .split('.')
    .filter((step) => step !== '')
}

function matches(steps: readonly string[], path: readonly string[], at: number, from: number): boolean {
  const step = steps[at]
  if (step === undefined) return from === path.length
  if (step === '**') {
    for (let next = from; next <= path.length; next++) if (matches(steps, path, at + 1, next)) return true
    return false
  }
  if (from >= path.length) return false
  const fits = step === '*' ? path[from] !== '[*]' : step === path[from]
  return fits && matches(steps, path, at + 1, from + 1)
}
