/**
 * `numeric` from its binary form: base-10000 digits, weight of the first, sign, and how many decimals to show.
 */

const NEGATIVE = 0x4000
const NAN = 0xc000
const INFINITY = 0xd000
const MINUS_INFINITY = 0xf000

export function numericText(bytes: Buffer): string {
  const count = bytes.readUInt16BE(0)
  const weight = bytes.readInt16BE(2)
  const sign = bytes.readUInt16BE(4)
  const scale = bytes.readUInt16BE(6)
  if (sign === NAN) return 'NaN'
  if (sign === INFINITY) return 'Infinity'
  if (sign === MINUS_INFINITY) return '-Infinity'
  const group = (index: number) =>
    index >= 0 && index < count ? String(bytes.readUInt16BE(8 + index * 2)).padStart(4, '0') : '0000'
  let whole = ''
  for (let index = 0; index <= weight; index++) whole += group(index)
  let fraction = ''
  for (let index = weight + 1; fraction.length < scale; index++) fraction += group(index)
  const text = whole.replace(/^0+/, '') || '0'
  return `${sign === NEGATIVE ? '-' : ''}${text}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`
}
