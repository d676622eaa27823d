/**
 * Numbers as text, in the one form that equal values share: plain decimal, no exponent, no trailing zeros, no negative zero.
 * NaN and the infinities stay as PostgreSQL writes them.
 */

/** A float's exponent never asks for more; a longer run of zeros is not from PostgreSQL. */
const EXPONENT_MAX = 400

const SCIENTIFIC = /^(-?)(\d+)(?:\.(\d*))?[eE]([+-]?\d+)$/

export function canonicalNumber(text: string): string {
  const scientific = SCIENTIFIC.exec(text)
  const plain = scientific === null ? text : expand(scientific, text)
  const trimmed = plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain
  return trimmed === '-0' ? '0' : trimmed
}

function expand([, sign = '', whole = '', fraction = '', power = '0']: RegExpExecArray, text: string): string {
  const exponent = Number(power)
  if (Math.abs(exponent) > EXPONENT_MAX) return text
  const digits = whole + fraction
  const point = whole.length + exponent
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  const padded = digits.padEnd(point, '0')
  const head = padded.slice(0, point).replace(/^0+(?=\d)/, '')
  return `${sign}${head}${padded.length > point ? `.${padded.slice(point)}` : ''}`
}
