/**
 * How many statements a finding is about. Those that show its cause and those that probably only follow from it are said apart: a
 * refused INSERT is one error, the hundred lists that lack its row are not.
 */
import { count, counted } from './format.js'

type Sized = { readonly count: number; readonly follows?: number }

export function ownCount({ count: all, follows = 0 }: Sized): number {
  return Math.max(0, all - follows)
}

/** `58 statements`, `58 statements and 1,104 that follow`. */
export function sizeWords(finding: Sized): string {
  const own = counted(ownCount(finding), 'statement')
  return finding.follows ? `${own} and ${followWords(finding.follows)}` : own
}

/** `58`, `58 + 1,104`: for a column of numbers. */
export function sizeFigures(finding: Sized): string {
  return finding.follows ? `${count(ownCount(finding))} + ${count(finding.follows)}` : count(finding.count)
}

export function followWords(follows: number): string {
  return `${count(follows)} that ${follows === 1 ? 'follows' : 'follow'}`
}
