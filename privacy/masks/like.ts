/**
 * Patterns on masked columns: LIKE and regular expressions whose words are masked and whose signs still work.
 */
import type { Mask } from './structures.js'

/** Escapes, classes, options and bounds of a regular expression: letters in there are signs, not words. */
const SIGNS =
  /\\[\s\S]|\[\^?\]?(?:\[:\w+:\]|[A-Za-z0-9]-[A-Za-z0-9]|\\[\s\S]|[^\]\p{L}\p{N}])*\]|\(\?[A-Za-z]+\)|\{\d+,?\d*\}/gu

/**
 * Without a wildcard a pattern is a value, and its token is the value's. With one it cannot match what the value's token looks
 * like; the statement still runs, and carries a caution.
 */
export function patternMask(whole: Mask, text: Mask): Mask {
  return (value) => {
    if (!/[%_*+?^$|\\[\](){}]/.test(value)) return whole(value)
    let out = ''
    let at = 0
    for (const sign of value.matchAll(SIGNS)) {
      out += text(value.slice(at, sign.index)) + sign[0]
      at = sign.index + sign[0].length
    }
    return out + text(value.slice(at))
  }
}
