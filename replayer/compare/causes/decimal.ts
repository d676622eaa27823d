/**
 * Exact decimal numbers as a scaled integer: binary floating point would explain rounding by rounding.
 */
export type Decimal = { readonly digits: bigint; readonly scale: number }

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i

/** null: not a finite number. */
export function decimalOf(text: string): Decimal | null {
  const found = NUMBER.exec(text)
  if (found === null || `${found[2] ?? ''}${found[3] ?? ''}` === '') return null
  const fraction = found[3] ?? ''
  const exponent = Number(found[4] ?? 0)
  const digits = BigInt(`${found[2] ?? ''}${fraction}`) * (found[1] === '-' ? -1n : 1n)
  const scale = fraction.length - exponent
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 }
}

/** Without zeros at the end of the fraction. */
export function shortest({ digits, scale }: Decimal): Decimal {
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale -= 1
  }
  return { digits, scale }
}

export function atScale(number: Decimal, scale: number): bigint {
  return number.digits * 10n ** BigInt(scale - number.scale)
}

/** Half away from zero, as PostgreSQL's numeric does. */
export function rounded({ digits, scale }: Decimal, to: number): bigint {
  if (to >= scale) return digits * 10n ** BigInt(to - scale)
  const unit = 10n ** BigInt(scale - to)
  const half = digits < 0n ? -unit / 2n : unit / 2n
  return (digits + half) / unit
}

export function cutOff({ digits, scale }: Decimal, to: number): bigint {
  return to >= scale ? digits * 10n ** BigInt(to - scale) : digits / 10n ** BigInt(scale - to)
}
