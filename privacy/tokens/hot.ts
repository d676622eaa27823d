/**
 * The tokens in use right now. Two generations instead of a linked list: looking up costs one hash look-up, and forgetting the
 * unused half costs nothing. A token takes 1 to 8 µs to make and 0.1 µs to find.
 */
export function hot(make: (value: string) => string, size = 20_000, lengthMax = 512): (value: string) => string {
  let young = new Map<string, string>()
  let old = new Map<string, string>()
  return (value) => {
    const known = young.get(value)
    if (known !== undefined) return known
    const token = old.get(value) ?? make(value)
    if (value.length > lengthMax) return token
    if (young.size >= size) {
      old = young
      young = new Map()
    }
    young.set(value, token)
    return token
  }
}
