/**
 * A socket that reads into one buffer of its own, hands each piece on at once, and writes small pieces with one system call. What a
 * stream does beside that, 64 KB of fresh memory and a turn through a queue for each read, an object and a callback later for each write,
 * costs more than all that the recorder does with a statement (figures: bench/README.md).
 *
 * net.Server makes its sockets itself and takes no `onread`, so the connection is moved to a new Socket by its handle, when all that
 * comes before the traffic (TLS, the startup packet) is over. The handle has no public name; where it is not what we expect, the
 * socket stays what it was and everything works as before, only slower.
 *
 * One buffer for all sockets would be less memory and is wrong: a write that cannot be done at once goes on reading from the buffer
 * that it was given, while another socket is read into it.
 *
 * A write goes to the descriptor itself only where nothing is queued in front of it. Whatever the system does not take (it is full, the
 * other side is gone) is left to the stream, which queues it, tells of `drain`, or fails as it always would.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'

const READ_BYTES = 64 * 1024
/** For larger pieces the system call is what costs, and a refused one throws: they take the usual way. */
const DIRECT_BYTES_MAX = 16 * 1024

type Handle = { reading?: boolean; readonly fd?: number; readStop?(): number; useUserBuffer?: unknown }
type Inside = { _handle: Handle | null; readonly _readableState?: { readonly ended?: boolean } }

export type Taken = {
  readonly socket: Socket
  /** As the socket's own: false means to wait for `drain`. The piece may be used again when nothing is queued behind it. */
  readonly write: (piece: Buffer) => boolean
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
  let pieceOf: Buffer | null = null
  let piece = next
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
        // Pieces of the same length are often the next ones too: then not even the view is made anew.
        if (pieceOf !== buffer || piece.length !== bytes) piece = buffer.subarray(0, bytes)
        pieceOf = buffer
        take(piece)
        if (holds()) next = Buffer.allocUnsafeSlow(READ_BYTES)
        return true
      },
    },
  }
  const made = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
  return { socket: made, write: writerOf(made), early }
}

function writerOf(socket: Socket): (piece: Buffer) => boolean {
  const inside = socket as unknown as Inside
  return (piece) => {
    // Asked each time: it is -1 as soon as the socket is closed, and then the number may be another connection's.
    const fd = inside._handle?.fd ?? -1
    if (fd < 0 || piece.length > DIRECT_BYTES_MAX || socket.writableLength > 0 || socket.writableEnded) {
      return socket.write(piece)
    }
    const written = tryWrite(fd, piece)
    return written === piece.length || socket.write(written === 0 ? piece : piece.subarray(written))
  }
}

function tryWrite(fd: number, piece: Buffer): number {
  try {
    return writeSync(fd, piece, 0, piece.length)
  } catch {
    return 0
  }
}
