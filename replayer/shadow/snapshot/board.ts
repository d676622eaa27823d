/**
 * What the readers of a snapshot share, wherever they run: which table is next, how far everybody is, whether to stop.
 * Numbers in shared memory, so that a thread deep in a row can be told, and asked, without a message.
 */
const NEXT = 0
const STOP = 1
const TABLES = 2
const ROWS = 3
const BYTES = 4
const CURRENT = 5

export type Board = BigInt64Array<SharedArrayBuffer>

export function createBoard(): Board {
  return new BigInt64Array(new SharedArrayBuffer(6 * BigInt64Array.BYTES_PER_ELEMENT))
}

/** The next table to read; beyond the last one there is nothing left to do. */
export function takeNext(board: Board): number {
  const place = Number(Atomics.add(board, NEXT, 1n))
  Atomics.store(board, CURRENT, BigInt(place))
  return place
}

export function count(board: Board, rows: number, bytes: number): void {
  Atomics.add(board, ROWS, BigInt(rows))
  Atomics.add(board, BYTES, BigInt(bytes))
}

export function countTable(board: Board): void {
  Atomics.add(board, TABLES, 1n)
}

export function stop(board: Board): void {
  Atomics.store(board, STOP, 1n)
}

export function stopped(board: Board): boolean {
  return Atomics.load(board, STOP) === 1n
}

/** `current`: the table begun last. */
export function read(board: Board): { tablesDone: number; rows: number; bytes: number; current: number } {
  const at = (place: number) => Number(Atomics.load(board, place))
  return { tablesDone: at(TABLES), rows: at(ROWS), bytes: at(BYTES), current: at(CURRENT) }
}
