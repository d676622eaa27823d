/** The record with which a session begins: its startup packet, the server's greeting, and what it did before it was recorded. */
import * as backend from '../../wire/backend.js'
import { Framer } from '../../wire/framer.js'
import { readStartup } from '../../wire/startup.js'

/** In front: how long the packet and the greeting are. */
const LENGTHS_BYTES = 8

export type Opening = {
  readonly user: string
  readonly database: string
  /** What else the client said. */
  readonly parameters: Readonly<Record<string, string>>
  readonly backendPid: number
  /** What the server said of itself, in its order. */
  readonly settings: readonly backend.Parameter[]
  /** Messages that would do it again. */
  readonly before: Buffer
}

export function readOpening(payload: Buffer): Opening {
  const startupEnd = LENGTHS_BYTES + payload.readInt32BE(0)
  const greetingEnd = startupEnd + payload.readInt32BE(4)
  const step = readStartup(payload.subarray(LENGTHS_BYTES, startupEnd))
  const packet = step.kind === 'packet' && step.packet.kind === 'startup' ? step.packet.parameters : {}
  const { user = '', database = user, ...parameters } = packet
  const greeting = readGreeting(payload.subarray(startupEnd, greetingEnd))
  return { user, database, parameters, ...greeting, before: payload.subarray(greetingEnd) }
}

function readGreeting(greeting: Buffer): Pick<Opening, 'backendPid' | 'settings'> {
  let backendPid = 0
  const settings: backend.Parameter[] = []
  new Framer({
    message: (type, buffer, start, end) => {
      if (type === backend.BACKEND.backendKeyData) {
        backendPid = backend.decodeBackendPid(buffer, start, end) ?? 0
      } else if (type === backend.BACKEND.parameterStatus) {
        const parameter = backend.decodeParameterStatus(buffer, start, end)
        if (parameter) settings.push(parameter)
      }
    },
    part: () => {},
    malformed: () => {},
  }).push(greeting)
  return { backendPid, settings }
}
