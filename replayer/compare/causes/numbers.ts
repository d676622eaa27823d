/**
 * What a migration does to numbers.
 */
import { FLOAT_OIDS, type ValueExplainer } from './cause.js'
import { atScale, cutOff, type Decimal, decimalOf, rounded, shortest } from './decimal.js'

type Match = (a: Decimal, b: Decimal, types: Parameters<ValueExplainer['match']>[2]) => string | null

function ofNumbers(
  name: string,
  match: Match,
  says: ValueExplainer['says'],
  more: Partial<ValueExplainer> = {},
): ValueExplainer {
  return {
    name,
    match(before, after, types) {
      const a = decimalOf(before)
      const b = decimalOf(after)
      return a === null || b === null ? null : match(shortest(a), shortest(b), types)
    },
    says,
    ...more,
  }
}

/** Rounding to 2 decimals leaves 1 or none to see now and then: the most decimals seen is the truth. */
const most = { merge: (a: string, b: string) => String(Math.max(Number(a), Number(b))) }

const places = (count: string | null): string =>
  count === null
    ? 'to fewer decimals'
    : count === '0'
      ? 'to whole numbers'
      : `to ${count} ${count === '1' ? 'decimal' : 'decimals'}`

const roundedTo = ofNumbers(
  'number.rounded',
  (a, b) => (b.scale < a.scale && rounded(a, b.scale) === b.digits ? String(b.scale) : null),
  (count) => `is rounded ${places(count)}`,
  most,
)

const cutTo = ofNumbers(
  'number.cut',
  (a, b) => (b.scale < a.scale && cutOff(a, b.scale) === b.digits ? String(b.scale) : null),
  (count) => `is cut ${places(count)}`,
  most,
)

const float = ofNumbers(
  'number.float',
  (a, b, types) => {
    if (!FLOAT_OIDS.has(types.after) || FLOAT_OIDS.has(types.before)) return null
    const scale = Math.max(a.scale, b.scale)
    const [x, y] = [atScale(a, scale), atScale(b, scale)]
    const off = x > y ? x - y : y - x
    return off * 1_000_000n <= (x < 0n ? -x : x) ? '' : null
  },
  () => 'is a floating-point number now and no longer exact',
)

const sign = ofNumbers(
  'number.sign',
  (a, b) => (a.digits !== 0n && a.digits === -b.digits && a.scale === b.scale ? '' : null),
  () => 'has the opposite sign',
)

const overflow = ofNumbers(
  'number.overflow',
  (a, b) => {
    if (a.scale > 0 || b.scale > 0) return null
    for (const bits of [8, 16, 32]) {
      if (a.digits === b.digits) continue
      const positive = BigInt.asUintN(bits, a.digits) === b.digits
      if (positive && BigInt.asIntN(bits, a.digits) !== b.digits) return `${bits} unsigned`
      if (positive) return `${bits}`
      if (BigInt.asIntN(bits, a.digits) === b.digits) return `${bits} signed`
    }
    for (const bits of [16, 32])
      if (b.digits === 2n ** BigInt(bits - 1) - 1n && a.digits > b.digits) return `${bits} signed`
    return null
  },
  (detail) => {
    if (detail === null) return 'does not fit its type any more'
    const [bits, sign] = detail.split(' ')
    const again = sign === 'unsigned' ? ` (it starts again after ${2n ** BigInt(bits!) - 1n})` : ''
    return `does not fit ${bits} bits any more${again}`
  },
  // Small rests look the same with a sign and without.
  { merge: (x, y) => (x === y || x.startsWith(`${y} `) ? x : y.startsWith(`${x} `) ? y : null) },
)

/** Cents and euros, seconds and milliseconds. Small whole numbers are a hundred times others by accident. */
const unit = ofNumbers(
  'number.unit',
  (a, b) => {
    if (a.digits === 0n || b.digits === 0n) return null
    const scale = Math.max(a.scale, b.scale)
    const [x, y] = [atScale(a, scale), atScale(b, scale)]
    for (const factor of [1_000_000n, 1000n, 100n]) {
      if (scale === 0 && magnitude(x) < 10n * factor && magnitude(y) < 10n * factor) continue
      if (x * factor === y) return `${factor} times too large`
      if (y * factor === x) return `${factor} times too small`
    }
    return null
  },
  (how) => (how === null ? 'is in another unit' : `is ${how} (another unit)`),
)

function magnitude(number: bigint): bigint {
  return number < 0n ? -number : number
}

/** A sum over a join that fans out counts each row several times. */
const multiplied = ofNumbers(
  'number.multiplied',
  (a, b) => {
    const scale = Math.max(a.scale, b.scale)
    const [x, y] = [atScale(a, scale), atScale(b, scale)]
    return x !== 0n && y % x === 0n && y / x >= 2n && y / x <= 9n ? String(y / x) : null
  },
  (factor) => (factor === null ? 'is a multiple of what it was' : `is ${factor} times what it was`),
)

const offByOne = ofNumbers(
  'number.off_by_one',
  (a, b) =>
    a.scale === 0 && b.scale === 0 && (a.digits - b.digits === 1n || b.digits - a.digits === 1n)
      ? b.digits > a.digits
        ? 'higher'
        : 'lower'
      : null,
  (how) => (how === null ? 'is off by one' : `is one ${how}`),
)

const WHOLE_UNITS = ['tens', 'hundreds', 'thousands', 'millions'] as const
const SIZES = [10n, 100n, 1000n, 1_000_000n]

/** What a whole number was rounded to, the coarsest: 300 of 298 are hundreds. */
function wholeUnit(a: Decimal, b: Decimal): string {
  if (a.scale > 0 || b.scale > 0 || b.digits === 0n) return ''
  const found = SIZES.findLastIndex(
    (size) => a.digits % size !== 0n && b.digits % size === 0n && magnitude(a.digits - b.digits) * 2n <= size,
  )
  return WHOLE_UNITS[found] ?? ''
}

/** Of two, the finer: where one was rounded to tens, another that ends in two zeros was as well. */
function commonUnit(a: string, b: string): string {
  const at = Math.min(...[a, b].map((unit) => WHOLE_UNITS.indexOf(unit as (typeof WHOLE_UNITS)[number])))
  return WHOLE_UNITS[at] ?? ''
}

/** Any number became another; what all pairs have in common says how: they were rounded, or are apart by the same. */
const changed = ofNumbers(
  'number.changed',
  (a, b) => {
    const scale = Math.max(a.scale, b.scale)
    const apart = atScale(b, scale) - atScale(a, scale)
    return apart === 0n ? null : `${wholeUnit(a, b)}|${plainText({ digits: apart, scale })}`
  },
  (detail) => {
    const [unit = '', apart = ''] = (detail ?? '').split('|')
    if (unit !== '') return `is rounded to ${unit}`
    if (apart === '') return 'differs'
    return apart.startsWith('-') ? `is lower by ${apart.slice(1)}` : `is higher by ${apart}`
  },
  {
    merge: (x, y) => {
      const [[unit = '', apart], [otherUnit = '', otherApart]] = [x.split('|'), y.split('|')] as const
      const [together, same] = [commonUnit(unit, otherUnit), apart === otherApart ? apart : '']
      return together === '' && same === '' ? null : `${together}|${same}`
    },
  },
)

function plainText(number: Decimal): string {
  const { digits, scale } = shortest(number)
  const text = magnitude(digits)
    .toString()
    .padStart(scale + 1, '0')
  const whole = text.slice(0, text.length - scale)
  return `${digits < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${text.slice(-scale)}`}`
}

export const NUMBER_EXPLAINERS: readonly ValueExplainer[] = [sign, overflow, float, roundedTo, cutTo, unit]

/** They fit by accident now and then, so everything else is asked first. */
export const WEAK_NUMBER_EXPLAINERS: readonly ValueExplainer[] = [multiplied, offByOne, changed]
