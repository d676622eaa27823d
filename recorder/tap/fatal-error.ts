/** An ErrorResponse of our own, for a client that cannot be connected or must go: drivers show it like the server's. */
import { BACKEND } from '../../wire/backend.js'
import { MessageWriter } from '../../wire/bytes.js'

export function fatalError(sqlstate: string, message: string, hint?: string): Buffer {
  const writer = new MessageWriter().start(BACKEND.error)
  const fields = { S: 'FATAL', V: 'FATAL', C: sqlstate, M: message, ...(hint === undefined ? {} : { H: hint }) }
  for (const [letter, value] of Object.entries(fields)) writer.int8(letter.charCodeAt(0)).string(value)
  return writer.int8(0).finish().bytes()
}
