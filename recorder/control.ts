/**
 * The control socket: an operator's hand on a running recorder. One line of JSON in, one line out, over a Unix socket that
 * only its owner may open.
 */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { EXIT, HarnessError } from '../base/errors.js'
import { SOCKET_PATH_BYTES_MAX, someoneAnswers } from './listen.js'
import type { ProxyRecording } from './proxy-recording.js'
import type { ProxyStatus } from './status.js'

export const CONTROL_COMMANDS = ['status', 'pause', 'resume', 'stop', 'kill'] as const
export type ControlCommand = (typeof CONTROL_COMMANDS)[number]

type Answer = { readonly status: ProxyStatus } | { readonly refused: string }

const LINE_BYTES_MAX = 1024
const ANSWER_MS_MAX = 30_000
/** What the ring holds is written first, which may take a while on a slow disk. */
const STOP_MS_MAX = 30 * 60_000

export async function serveControl(path: string, recording: ProxyRecording): Promise<{ close(): void }> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
    throw cannotServe(path, `a path may have ${SOCKET_PATH_BYTES_MAX} bytes.`)
  if (await someoneAnswers(path)) throw cannotServe(path, 'another recorder answers there.')
  rmSync(path, { force: true })
  const server = createServer((socket) => {
    oneLine(socket, async (line) => {
      const answer = await obey(line, recording)
      socket.end(`${JSON.stringify(answer)}\n`)
    })
  })
  await listen(server, path)
  return {
    close() {
      server.close()
      rmSync(path, { force: true })
    },
  }
}

/** What the recorder says once it has done it. */
export function askControl(path: string, command: ControlCommand): Promise<ProxyStatus> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    socket.setTimeout(command === 'stop' ? STOP_MS_MAX : ANSWER_MS_MAX, () => socket.destroy(new Error('no answer')))
    socket.once('error', (cause) => reject(unreachable(path, cause)))
    socket.once('connect', () => socket.write(`${JSON.stringify({ command })}\n`))
    oneLine(socket, async (line) => {
      socket.destroy()
      const answer = parse(line) as Answer | null
      if (answer !== null && 'status' in answer) resolve(answer.status)
      else reject(unreachable(path, new Error(answer?.refused ?? 'its answer cannot be read')))
    })
  })
}

async function obey(line: string, recording: ProxyRecording): Promise<Answer> {
  const command = (parse(line) as { command?: unknown } | null)?.command
  switch (command) {
    case 'status':
      break
    case 'pause':
      recording.pause()
      break
    case 'resume':
      recording.resume()
      break
    case 'stop':
      await recording.stop({ keepConnections: true })
      break
    case 'kill':
      await recording.kill()
      break
    default:
      return { refused: `it knows ${CONTROL_COMMANDS.join(', ')}` }
  }
  return { status: recording.status() }
}

function oneLine(socket: Socket, then: (line: string) => Promise<void>): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('error', () => socket.destroy())
  socket.on('data', (piece: string) => {
    text += piece
    const end = text.indexOf('\n')
    if (end < 0 && text.length > LINE_BYTES_MAX * 64) socket.destroy()
    if (end < 0) return
    socket.removeAllListeners('data')
    void then(text.slice(0, end))
  })
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(cannotServe(path, `${(cause as NodeJS.ErrnoException).code}.`)))
    server.listen(path, () => {
      chmodSync(path, 0o600)
      resolve()
    })
  })
}

function cannotServe(path: string, detail: string): HarnessError {
  return new HarnessError({
    code: 'CONTROL_SOCKET',
    message: `cannot open the control socket ${path}`,
    detail,
    hint: 'Choose another path with --control.',
    exit: EXIT.environment,
  })
}

function unreachable(path: string, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'NO_RECORDER',
    message: `no recorder answers at ${path}`,
    detail: `${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}.`,
    hint: 'Give the path that the running recorder was started with as --control.',
  })
}
