/**
 * The messages of an exchange with names that may be kept. An application sends the same few sequences again and again: they are made
 * once and are the same array each time, by which whoever writes them recognises them.
 */
import type { Masker } from '../../privacy/masker.js'
import type { Frame } from '../../segment/statement.js'

const SEQUENCES_MAX = 10_000
/** Longer sequences are rarely sent twice. */
const FRAMES_MAX = 16
const KEY_CHARS_MAX = 1000

export class SafeFrames {
  readonly #masker: Masker
  readonly #known = new Map<string, readonly Frame[]>()

  constructor(masker: Masker) {
    this.#masker = masker
  }

  of(frames: readonly Frame[]): readonly Frame[] {
    if (frames.length > FRAMES_MAX) return withSafeNames(frames, this.#masker)
    const key = keyOf(frames)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const safe = withSafeNames(frames, this.#masker)
    if (key.length <= KEY_CHARS_MAX) {
      if (this.#known.size >= SEQUENCES_MAX) this.#known.clear()
      this.#known.set(key, safe)
    }
    return safe
  }
}

/** No name holds a zero byte: it ends them on the wire. */
function keyOf(frames: readonly Frame[]): string {
  let key = ''
  for (const frame of frames) {
    switch (frame[0]) {
      case 'P':
        key += `P${frame[1]}\0${frame[2].join(' ')}\0`
        break
      case 'B':
      case 'E':
      case 'C':
      case 'D':
        key += `${frame[0]}${frame[1]}\0${frame[2]}\0`
        break
      default:
        key += frame[0]
    }
  }
  return key
}

/** Names of prepared statements and portals are the application's, and hold what it likes. */
function withSafeNames(frames: readonly Frame[], masker: Masker): readonly Frame[] {
  return frames.map((frame): Frame => {
    switch (frame[0]) {
      case 'P':
        return ['P', masker.name(frame[1]), frame[2]]
      case 'B':
        return ['B', masker.name(frame[1]), masker.name(frame[2])]
      case 'E':
        return ['E', masker.name(frame[1]), frame[2]]
      case 'C':
      case 'D':
        return [frame[0], frame[1], masker.name(frame[2])]
      default:
        return frame
    }
  })
}
