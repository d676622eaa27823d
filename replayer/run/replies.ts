/**
 * Which replies an exchange ends with: one per message that the server confirms, in order. Made once per shape of messages.
 */
import type { Frame } from '../../segment/statement.js'

export type Reply =
  | { readonly kind: 'parse'; readonly name: string }
  | { readonly kind: 'bind'; readonly portal: string; readonly name: string }
  | { readonly kind: 'describe'; readonly of: 'S' | 'P'; readonly name: string }
  | { readonly kind: 'execute'; readonly portal: string }
  | { readonly kind: 'close'; readonly of: 'S' | 'P'; readonly name: string }
  | { readonly kind: 'call' }

export type Replies = {
  readonly replies: readonly Reply[]
  /** One message that answers until ReadyForQuery. */
  readonly simple: boolean
  /** ReadyForQuery closes it. */
  readonly ready: boolean
  /** It brings the data for its own COPY. */
  readonly hasCopy: boolean
}

const known = new WeakMap<readonly Frame[], Replies>()

export function repliesTo(frames: readonly Frame[]): Replies {
  let replies = known.get(frames)
  if (replies === undefined) {
    replies = derive(frames)
    known.set(frames, replies)
  }
  return replies
}

function derive(frames: readonly Frame[]): Replies {
  const first = frames[0]?.[0]
  const simple = first === 'Q'
  const starts = (...kinds: Frame[0][]) => frames.some(([kind]) => kinds.includes(kind))
  return {
    replies: simple ? [] : frames.flatMap(replyTo),
    simple,
    ready: simple || starts('S', 'F'),
    hasCopy: starts('d', 'c', 'f'),
  }
}

function replyTo(frame: Frame): Reply[] {
  switch (frame[0]) {
    case 'P':
      return [{ kind: 'parse', name: frame[1] }]
    case 'B':
      return [{ kind: 'bind', portal: frame[1], name: frame[2] }]
    case 'D':
      return [{ kind: 'describe', of: frame[1], name: frame[2] }]
    case 'E':
      return [{ kind: 'execute', portal: frame[1] }]
    case 'C':
      return [{ kind: 'close', of: frame[1], name: frame[2] }]
    case 'F':
      return [{ kind: 'call' }]
    default:
      return []
  }
}
