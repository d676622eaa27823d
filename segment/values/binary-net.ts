/**
 * Network addresses from their binary form.
 */

const IPV4 = 2

/** inet and cidr; a cidr always shows its length, an inet only when it is shorter than the address. */
export function inetText(bytes: Buffer): string {
  const [family, bits, isCidr] = bytes
  const address = bytes.subarray(4, 4 + bytes[3]!)
  const text = family === IPV4 ? [...address].join('.') : ipv6Text(address)
  return isCidr !== 0 || bits !== address.length * 8 ? `${text}/${bits}` : text
}

export function macaddrText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/..(?!$)/g, '$&:')
}

/** The longest run of zero words is left out; an embedded IPv4 address shows as one. */
function ipv6Text(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2))
  const gap = longestZeros(words)
  const embedsIpv4 = gap.from === 0 && (gap.length === 6 || (gap.length === 5 && words[5] === 0xffff))
  const shown = words.map((word) => word.toString(16))
  if (embedsIpv4) shown.splice(6, 2, [...bytes.subarray(12)].join('.'))
  if (gap.length < 2) return shown.join(':')
  return `${shown.slice(0, gap.from).join(':')}::${shown.slice(gap.from + gap.length).join(':')}`
}

function longestZeros(words: readonly number[]): { readonly from: number; readonly length: number } {
  let best = { from: -1, length: 0 }
  for (let from = 0; from < words.length; from++) {
    let length = 0
    while (words[from + length] === 0) length += 1
    if (length > best.length) best = { from, length }
  }
  return best
}
