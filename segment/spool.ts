/**
 * The spool of a run: what workers hand over while a replay is on, appended to a plain file as it comes, and put in order afterwards.
 *
 * A replay shares its machine with the database it measures. Sixteen columns a statement through SQLite cost a fifth of all the
 * processor time of a replay at full speed; an append of the workers' own buffers costs next to nothing, and the rest can wait
 * until nobody measures any more. Each buffer stands behind its length (u32), so a file that was cut short reads up to its last whole one.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { createPrivateFile } from './files.js'

const LENGTH_BYTES = 4

export class Spool {
  readonly #path: string
  readonly #file: number
  readonly #length = Buffer.alloc(LENGTH_BYTES)

  constructor(path: string) {
    this.#path = path
    createPrivateFile(path)
    this.#file = openSync(path, 'r+')
  }

  append(buffer: ArrayBuffer): void {
    this.#length.writeUInt32LE(buffer.byteLength)
    this.#write(this.#length)
    this.#write(Buffer.from(buffer))
  }

  /** All of them, in the order in which they came. */
  *buffers(): Generator<ArrayBuffer> {
    for (let at = 0; ; ) {
      const length = this.#read(at, LENGTH_BYTES)
      if (length === null) return
      const bytes = this.#read(at + LENGTH_BYTES, Buffer.from(length).readUInt32LE())
      if (bytes === null) return
      yield bytes
      at += LENGTH_BYTES + bytes.byteLength
    }
  }

  close(): void {
    closeSync(this.#file)
  }

  remove(): void {
    this.close()
    rmSync(this.#path, { force: true })
  }

  #write(bytes: Buffer): void {
    for (let written = 0; written < bytes.byteLength; ) {
      written += writeSync(this.#file, bytes, written, bytes.byteLength - written)
    }
  }

  /** null: the file ends before. */
  #read(at: number, bytes: number): ArrayBuffer | null {
    const buffer = new ArrayBuffer(bytes)
    const view = Buffer.from(buffer)
    for (let read = 0; read < bytes; ) {
      const got = readSync(this.#file, view, read, bytes - read, at + read)
      if (got === 0) return null
      read += got
    }
    return buffer
  }
}
