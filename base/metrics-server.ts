/**
 * Answers GET /metrics for Prometheus, with whatever text it is given when somebody asks.
 */
import { createServer, type ServerResponse } from 'node:http'
import { HarnessError } from './errors.js'

export type MetricsServer = { readonly port: number; close(): void }

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export async function serveText(
  address: { readonly host: string; readonly port: number },
  text: () => Promise<string>,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url === '/metrics' && request.method === 'GET') void answer(response, text)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(cannotServe(address, cause)))
    server.listen(address, resolve)
  })
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function answer(response: ServerResponse, text: () => Promise<string>): Promise<void> {
  try {
    const body = await text()
    response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(body)
  } catch {
    response.writeHead(500).end()
  }
}

function cannotServe(address: { readonly host: string; readonly port: number }, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'METRICS_ADDRESS',
    message: `cannot serve metrics at ${address.host}:${address.port}`,
    detail: `${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}.`,
    hint: 'Choose another address with --metrics.',
    cause,
  })
}
