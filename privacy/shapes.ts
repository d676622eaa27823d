/**
 * Shapes understood so far, found again by what the lexer says of a text.
 */
import type { Lexed } from '../sql/lex.js'
import type { Shape } from './statement.js'

/** Enough for every statement of an application; texts with IN lists of every length are what fills it. */
export const SHAPES_MAX = 4_000
/** Longer texts are rarely sent twice, and would fill the memory. */
export const KEPT_LENGTH_MAX = 8_000

/** `understand` returns null for a text that cannot be; it is asked again each time. */
export function createShapes(
  understand: (sql: string, lexed: Lexed) => Shape | null,
): (sql: string, lexed: Lexed) => Shape | null {
  const shapes = new Map<string, Shape>()
  /** For shapes with keys, what was found first says which literals are keys; the values there are part of the name. */
  const variants = new Map<string, Shape>()
  return (sql, lexed) => {
    const first = shapes.get(lexed.shape)
    if (first !== undefined && first.keys.length === 0) return first
    const name = first === undefined ? '' : variantName(sql, lexed, first)
    const variant = first === undefined ? undefined : variants.get(name)
    if (variant !== undefined) return variant
    const made = understand(sql, lexed)
    if (made === null || sql.length > KEPT_LENGTH_MAX) return made
    if (first === undefined) remember(shapes, lexed.shape, made, SHAPES_MAX)
    if (made.keys.length > 0) remember(variants, variantName(sql, lexed, made), made, SHAPES_MAX)
    return made
  }
}

function variantName(sql: string, lexed: Lexed, shape: Shape): string {
  return `${lexed.shape}\u0002${shape.keys.map((slot) => sql.slice(lexed.starts[slot], lexed.ends[slot])).join('\u0002')}`
}

/** Oldest out, an eighth at a time. A shape that comes again is understood again: 100 µs. */
export function remember<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  if (map.size >= max) {
    let drop = max >> 3
    for (const old of map.keys()) {
      if (drop === 0) break
      map.delete(old)
      drop -= 1
    }
  }
  map.set(key, value)
}
