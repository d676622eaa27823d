/**
 * The word somebody probably meant.
 */

/** Smallest edit distance; the first of equals. */
export function nearest(word: string, words: readonly string[]): string {
  let best = words[0] ?? ''
  let least = Number.POSITIVE_INFINITY
  for (const candidate of words) {
    const far = distance(word.toLowerCase(), candidate.toLowerCase())
    if (far < least) {
      least = far
      best = candidate
    }
  }
  return best
}

function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    above = row
  }
  return above[b.length]!
}
