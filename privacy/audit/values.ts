/**
 * Known values, looked for in long texts: thousands of values at one look-up per character.
 */

/** Shorter values turn up by chance. */
export const VALUE_LENGTH_MIN = 6

export type ValueSearch = (text: string) => readonly { readonly start: number; readonly end: number }[]

export function createValueSearch(values: Iterable<string>): ValueSearch {
  const byStart = new Map<string, string[]>()
  for (const value of values) {
    if (value.length < VALUE_LENGTH_MIN) continue
    const start = value.slice(0, VALUE_LENGTH_MIN)
    const same = byStart.get(start)
    if (same === undefined) byStart.set(start, [value])
    else if (!same.includes(value)) same.push(value)
  }
  if (byStart.size === 0) return () => []
  return (text) => {
    const found: { start: number; end: number }[] = []
    for (let at = 0; at + VALUE_LENGTH_MIN <= text.length; at++) {
      const value = byStart.get(text.substring(at, at + VALUE_LENGTH_MIN))?.find((one) => text.startsWith(one, at))
      if (value === undefined) continue
      found.push({ start: at, end: at + value.length })
      at += value.length - 1
    }
    return found
  }
}
