/**
 * Floats as PostgreSQL prints them: the fewest digits that read back as the same value, in plain decimal within the precision of
 * the type, else as `1.5e+20`, exponent with two digits at least.
 *
 * JavaScript prints the fewest digits too, with one difference: a decimal that lies exactly half-way between two doubles counts as
 * reading back (round to even); PostgreSQL does not rely on its readers for that and prints one digit more (1e23 is
 * `9.999999999999999e+22`).
 */

/** Digits before the exponent form takes over. */
const PLAIN_DIGITS_FLOAT8 = 15
const PLAIN_DIGITS_FLOAT4 = 6

/** More than enough to see whether a float4 lies exactly between two decimals of nine digits. */
const EXACT_DIGITS = 40

/** Below and above these no decimal of 17 digits is half-way between two doubles. */
const HALFWAY_MIN = 2 ** 53
const HALFWAY_MAX = 1e41

export function float8Text(value: number): string {
  const special = specialText(value)
  if (special !== undefined) return special
  const size = Math.abs(value)
  let scientific = value.toExponential()
  if (size > HALFWAY_MIN && size < HALFWAY_MAX) {
    for (let digits = digitsOf(scientific); isHalfway(scientific, value); digits++) {
      scientific = value.toExponential(digits)
    }
  }
  return layOut(scientific, PLAIN_DIGITS_FLOAT8)
}

/** `value` is a float4 already. */
export function float4Text(value: number): string {
  const special = specialText(value)
  if (special !== undefined) return special
  const size = Math.abs(value)
  const low = midpoint(size, -1)
  const high = midpoint(size, 1)
  const readsBack = (scientific: string) => Number(scientific) > low && Number(scientific) < high
  for (let digits = 1; ; digits++) {
    const scientific = nearest(size, digits).find(readsBack)
    if (scientific !== undefined) return (value < 0 ? '-' : '') + layOut(scientific, PLAIN_DIGITS_FLOAT4)
  }
}

/** The decimals of so many digits just below and above a value; the nearer one first, of two equally near ones the even one. */
function nearest(value: number, digits: number): readonly string[] {
  const [mantissa = '', power = '0'] = value.toExponential(EXACT_DIGITS).split('e')
  const all = mantissa.replace('.', '')
  const below = Number(all.slice(0, digits))
  const rest = all.slice(digits).replace(/0+$/, '')
  const roundsUp = rest === '5' ? below % 2 === 1 : rest > '5'
  const unit = Number(power) - digits + 1
  const written = (head: number) => scientificOf(String(head), unit)
  return roundsUp ? [written(below + 1), written(below)] : [written(below), written(below + 1)]
}

/** digits × 10^unit, as `d.ddde±x`. */
function scientificOf(digits: string, unit: number): string {
  const fraction = digits.slice(1).replace(/0+$/, '')
  return `${digits[0]}${fraction === '' ? '' : `.${fraction}`}e${unit + digits.length - 1}`
}

function specialText(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return 'Infinity'
  if (value === Number.NEGATIVE_INFINITY) return '-Infinity'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  return undefined
}

function digitsOf(scientific: string): number {
  return scientific.replace(/e.*$|[-.]/g, '').length
}

/** These values are whole numbers, so the question can be answered exactly. */
function isHalfway(scientific: string, value: number): boolean {
  const twice = 2n * decimalOf(scientific)
  const exact = BigInt(value)
  return twice === exact + BigInt(neighbour(value, 1)) || twice === exact + BigInt(neighbour(value, -1))
}

function decimalOf(scientific: string): bigint {
  const [mantissa = '', exponent = '0'] = scientific.split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const power = Number(exponent) - fraction.length
  const digits = BigInt(whole + fraction)
  return power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power)
}

const float8 = new Float64Array(1)
const bits8 = new BigInt64Array(float8.buffer)
const float4 = new Float32Array(1)
const bits4 = new Int32Array(float4.buffer)

/** The next double up or down. */
function neighbour(value: number, direction: 1 | -1): number {
  float8[0] = value
  bits8[0]! += value > 0 === direction > 0 ? 1n : -1n
  return float8[0]!
}

/** Half-way to the next float4 up or down; exact, because a double has room for one bit more. */
function midpoint(value: number, direction: 1 | -1): number {
  float4[0] = value
  bits4[0]! += value > 0 === direction > 0 ? 1 : -1
  const next = float4[0]!
  // Beyond the largest float4 the next one would be 2^128.
  return (value + (Number.isFinite(next) ? next : direction * 2 ** 128)) / 2
}

function layOut(scientific: string, plainDigits: number): string {
  const [mantissa = '', power = '0'] = scientific.split('e')
  const exponent = Number(power)
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '')
  if (exponent < -4 || exponent >= plainDigits) {
    const size = String(Math.abs(exponent)).padStart(2, '0')
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = digits.slice(exponent + 1)
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`
}
