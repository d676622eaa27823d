/**
 * `bytea` as hex, whichever bytea_output the session had. The escape form writes a backslash doubled, so `\x` is never ambiguous.
 */

export function canonicalBytea(text: string): string {
  if (text.startsWith('\\x')) return text.toLowerCase()
  let hex = '\\x'
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code !== 92) {
      hex += byteHex(code)
    } else if (text[at + 1] === '\\') {
      hex += '5c'
      at += 1
    } else {
      const octal = text.slice(at + 1, at + 4)
      if (!/^[0-3][0-7]{2}$/.test(octal)) return text
      hex += byteHex(Number.parseInt(octal, 8))
      at += 3
    }
  }
  return hex
}

function byteHex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
