/**
 * Several streams, ascending by seq, walked together.
 */
type Numbered = { readonly seq: number }

/** One row of each stream that has one at this seq. */
export type Joined<A, B, C, D> = {
  readonly seq: number
  readonly a: A | undefined
  readonly b: B | undefined
  readonly c: C | undefined
  readonly d: D | undefined
}

export function* joinBySeq<A extends Numbered, B extends Numbered, C extends Numbered, D extends Numbered>(
  a: Iterable<A>,
  b: Iterable<B>,
  c: Iterable<C>,
  d: Iterable<D>,
): Generator<Joined<A, B, C, D>> {
  const heads = [new Head(a), new Head(b), new Head(c), new Head(d)] as const
  try {
    for (;;) {
      const seq = Math.min(...heads.map((head) => head.seq))
      if (seq === Infinity) return
      yield { seq, a: heads[0].take(seq), b: heads[1].take(seq), c: heads[2].take(seq), d: heads[3].take(seq) }
    }
  } finally {
    for (const head of heads) head.close()
  }
}

class Head<T extends Numbered> {
  readonly #iterator: Iterator<T>
  #next: IteratorResult<T>

  constructor(items: Iterable<T>) {
    this.#iterator = items[Symbol.iterator]()
    this.#next = this.#iterator.next()
  }

  get seq(): number {
    return this.#next.done === true ? Infinity : this.#next.value.seq
  }

  take(seq: number): T | undefined {
    if (this.#next.done === true || this.#next.value.seq !== seq) return undefined
    const { value } = this.#next
    this.#next = this.#iterator.next()
    return value
  }

  close(): void {
    this.#iterator.return?.()
  }
}
