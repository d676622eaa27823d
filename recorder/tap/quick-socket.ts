/**
 * A socket that reads into one buffer of its own and hands each piece on at once, instead of 64 KB of fresh memory and a turn
 * through a stream's queue for each read. On the path of a statement that is a third of what Node costs: 30 µs of the processor
 * in a bare forwarder of plain sockets, 21 µs with these, 17 µs in PgBouncer (pgbench -S -M prepared, 8 clients, 2 cores).
 *
 * net.Server makes its sockets itself and takes no `onread`, so the connection is moved to a new Socket by its handle, when all that
 * comes before the traffic (TLS, the startup packet) is over. The handle has no public name; where it is not what we expect, the
 * socket stays what it was and everything works as before, only slower.
 *
 * One buffer for all sockets would be less memory and is wrong: a write that cannot be done at once goes on reading from the buffer
 * that it was given, while another socket is read into it.
 */
import { Socket } from 'node:net'

const READ_BYTES = 64 * 1024

type Handle = { reading?: boolean; readStop?(): number; useUserBuffer?: unknown }
type Inside = { _handle: Handle | null; readonly _readableState?: { readonly ended?: boolean } }

export type Taken = {
  readonly socket: Socket
  /** What had been read before. */
  readonly early: Buffer | null
}

/**
 * The same connection, paused; of the old listeners none is left. `take` gets the pieces, each good during the call only, unless
 * `holds` says behind it that somebody goes on using it. null: it cannot be done, and nothing has changed.
 */
export function quickSocket(socket: Socket, take: (piece: Buffer) => void, holds: () => boolean): Taken | null {
  const inside = socket as unknown as Inside
  const handle = inside._handle
  // A TLSSocket is one too, and reads otherwise.
  if (socket.constructor !== Socket || !handle || inside._readableState?.ended !== false) return null
  if (typeof handle.readStop !== 'function' || typeof handle.useUserBuffer !== 'function') return null
  if (socket.destroyed || socket.connecting || socket.writableLength > 0) return null
  const early = socket.read() as Buffer | null
  handle.readStop()
  handle.reading = false
  socket.removeAllListeners()
  inside._handle = null

  let next: Buffer | null = Buffer.allocUnsafeSlow(READ_BYTES)
  const options = {
    handle,
    allowHalfOpen: true,
    readable: true,
    writable: true,
    pauseOnCreate: true,
    onread: {
      // Asked before the first piece and behind each: nothing means that the same buffer may be filled again.
      buffer: () => {
        const given = next
        next = null
        return given
      },
      callback: (bytes: number, buffer: Buffer) => {
        take(buffer.subarray(0, bytes))
        if (holds()) next = Buffer.allocUnsafeSlow(READ_BYTES)
        return true
      },
    },
  }
  return { socket: new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]), early }
}
