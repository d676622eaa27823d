/** Binary values as PostgreSQL's text. */
import { binaryToText, TEXT_LIKE } from '../../segment/binary-text.js'

/** null: this build cannot read the type's binary form. */
export function binaryText(typeOid: number, bytes: Uint8Array): string | null {
  return binaryToText(typeOid, bytes) ?? null
}

/** The binary form of these is their text. */
export function isTextType(typeOid: number): boolean {
  return TEXT_LIKE.has(typeOid)
}
