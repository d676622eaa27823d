/**
 * Merging sorted streams, a few open at a time.
 *
 * Segments overlap a little: a long transaction is written when it ends, after younger statements. A source is opened only when
 * the merge reaches its first position, so memory does not grow with the number of segments.
 */

export type Source<T> = {
  /** No item of the source is below this. */
  readonly first: number
  readonly open: () => Iterator<T>
}

type Head<T> = { readonly iterator: Iterator<T>; item: T; at: number }

export function* mergeSorted<T>(sources: readonly Source<T>[], positionOf: (item: T) => number): Generator<T> {
  const waiting = [...sources].sort((a, b) => b.first - a.first)
  const heads: Head<T>[] = []
  try {
    for (;;) {
      while (waiting.length > 0 && (heads.length === 0 || waiting.at(-1)!.first <= lowest(heads).at)) {
        const iterator = waiting.pop()!.open()
        const next = iterator.next()
        if (!next.done) heads.push({ iterator, item: next.value, at: positionOf(next.value) })
      }
      if (heads.length === 0) return
      const head = lowest(heads)
      yield head.item
      const next = head.iterator.next()
      if (next.done) heads.splice(heads.indexOf(head), 1)
      else {
        head.item = next.value
        head.at = positionOf(next.value)
      }
    }
  } finally {
    for (const head of heads) head.iterator.return?.()
  }
}

/** Few are open at once, so a scan beats a heap. */
function lowest<T>(heads: readonly Head<T>[]): Head<T> {
  let low = heads[0]!
  for (let i = 1; i < heads.length; i++) if (heads[i]!.at < low.at) low = heads[i]!
  return low
}
