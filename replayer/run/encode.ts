/**
 * A recorded exchange as the bytes a client sends: the same messages, in the same order, with the same names and formats.
 *
 * Most statements of a recording repeat one shape with other parameters, so everything but the Bind's values is made once per
 * shape and text, and a statement costs one allocation and two or three copies.
 */
import type { Frame, Statement } from '../../segment/statement.js'
import {
  buildBind,
  buildClose,
  buildCopyData,
  buildCopyDone,
  buildCopyFail,
  buildDescribe,
  buildExecute,
  buildFlush,
  buildParse,
  buildQuery,
  buildSync,
} from '../../wire/frontend.js'

export type Encoded = {
  readonly bytes: Buffer
  /** What the server sends only when asked for, after CopyInResponse: a simple query's COPY data. null: there is none. */
  readonly copy: Buffer | null
}

export const FLUSH = buildFlush()
export const SYNC = buildSync()

/** What a statement needs to be sent; the recorded one, or one with values of this run in it. */
export type Sendable = Pick<Statement, 'frames' | 'sql' | 'bind' | 'copy'>

/** What stands before and after the values of the (only) Bind, ready to be copied. */
type Template = { readonly before: Buffer; readonly bindNames: Buffer; readonly after: Buffer }

/** Shapes repeat by identity (the reader keeps one array per shape), texts by value. */
type Shape = {
  /** Only a Parse carries the text; without one, all texts share a template. */
  readonly carriesText: boolean
  readonly templates: Map<string, Template>
}

const TEMPLATES_PER_SHAPE_MAX = 2000
const shapes = new WeakMap<readonly Frame[], Shape>()

/** `flushAfterBind` asks the server to answer the Bind at once: its answer proves that the snapshot has been taken. */
export function encode(statement: Sendable, flushAfterBind = false): Encoded {
  const { frames, sql } = statement
  if (frames[0]?.[0] === 'Q') return { bytes: buildQuery(sql), copy: copyPart(statement) }
  if (statement.bind !== null && statement.copy === null && !flushAfterBind) {
    return { bytes: fill(templateOf(frames, sql), statement.bind), copy: null }
  }
  const messages: Buffer[] = []
  let unflushed = flushAfterBind
  for (let i = 0; i < frames.length; i++) {
    // All data of a COPY is kept as one piece, whatever pieces it was sent in.
    if (frames[i]![0] === 'd' && frames[i - 1]?.[0] === 'd') continue
    messages.push(message(frames[i]!, statement))
    const bound = frames[i]![0] === 'B' && frames[i + 1]?.[0] !== 'D'
    const described = frames[i]![0] === 'D' && frames[i - 1]?.[0] === 'B'
    if (unflushed && (bound || described)) {
      messages.push(FLUSH)
      unflushed = false
    }
  }
  return { bytes: messages.length === 1 ? messages[0]! : Buffer.concat(messages), copy: null }
}

function message(frame: Frame, statement: Sendable): Buffer {
  switch (frame[0]) {
    case 'Q':
      return buildQuery(statement.sql)
    case 'P':
      return buildParse(frame[1], statement.sql, frame[2])
    case 'B':
      return buildBind(frame[1], frame[2], statement.bind ?? EMPTY_BIND)
    case 'D':
      return buildDescribe(frame[1], frame[2])
    case 'E':
      return buildExecute(frame[1], frame[2])
    case 'C':
      return buildClose(frame[1], frame[2])
    case 'd':
      return buildCopyData(statement.copy ?? EMPTY)
    case 'c':
      return buildCopyDone()
    case 'f':
      return buildCopyFail(COPY_FAILED)
    case 'H':
      return FLUSH
    case 'S':
      return SYNC
    case 'F':
      throw new Error('a function call cannot be sent: its arguments are not recorded')
  }
}

const EMPTY = Buffer.alloc(0)
/** No parameter formats, no values, no result formats. */
const EMPTY_BIND = Buffer.alloc(6)
export const COPY_FAILED = 'the recorded client gave up'

/** Of a simple query: the answer to its CopyInResponse. */
function copyPart(statement: Sendable): Buffer | null {
  const rest = statement.frames.filter(
    (frame, i) => i > 0 && !(frame[0] === 'd' && statement.frames[i - 1]![0] === 'd'),
  )
  return rest.length === 0 ? null : Buffer.concat(rest.map((frame) => message(frame, statement)))
}

function templateOf(frames: readonly Frame[], sql: string): Template {
  let shape = shapes.get(frames)
  if (shape === undefined) {
    shape = { carriesText: frames.some((frame) => frame[0] === 'P'), templates: new Map() }
    shapes.set(frames, shape)
  }
  const key = shape.carriesText ? sql : ''
  let template = shape.templates.get(key)
  if (template === undefined) {
    if (shape.templates.size >= TEMPLATES_PER_SHAPE_MAX) shape.templates.clear()
    template = makeTemplate(frames, sql)
    shape.templates.set(key, template)
  }
  return template
}

function makeTemplate(frames: readonly Frame[], sql: string): Template {
  const at = frames.findIndex((frame) => frame[0] === 'B')
  const bind = frames[at] as readonly ['B', string, string]
  const statement = { frames, sql, bind: null, copy: null } as unknown as Sendable
  const all = (some: readonly Frame[]) => Buffer.concat(some.map((frame) => message(frame, statement)))
  return {
    before: all(frames.slice(0, at)),
    bindNames: Buffer.from(`${bind[1]}\0${bind[2]}\0`, 'utf8'),
    after: all(frames.slice(at + 1)),
  }
}

const BIND_HEADER_BYTES = 5

function fill({ before, bindNames, after }: Template, values: Uint8Array): Buffer {
  const bodyBytes = bindNames.length + values.length
  const bytes = Buffer.allocUnsafe(before.length + BIND_HEADER_BYTES + bodyBytes + after.length)
  bytes.set(before, 0)
  let at = before.length
  bytes[at] = 0x42
  bytes.writeInt32BE(bodyBytes + 4, at + 1)
  at += BIND_HEADER_BYTES
  bytes.set(bindNames, at)
  at += bindNames.length
  bytes.set(values, at)
  bytes.set(after, at + values.length)
  return bytes
}
