/**
 * The baseline of bench/replay: one statement, sent again and again over a few connections as soon as its answer is there. No
 * recording, no order, no digests: what is left is the cost of talking to the server from Node.
 */
import { connect, type RawConnection } from '../replayer/run/connection.js'
import { buildBindRest } from '../wire/bind.js'
import { buildBind, buildDescribe, buildExecute, buildParse, buildSync } from '../wire/frontend.js'

export type BareTask = {
  readonly url: string
  readonly sql: string
  readonly connections: number
  readonly statements: number
}

/** Resolves to the milliseconds it took. */
export default async function bare({ url, sql, connections, statements }: BareTask): Promise<number> {
  const sync = buildSync()
  const again = (n: number) =>
    Buffer.concat([
      buildBind('', 's', buildBindRest([String(1 + (n % 100_000))])),
      buildDescribe('P', ''),
      buildExecute(''),
      sync,
    ])
  const messages = Array.from({ length: 1000 }, (_, i) => again(i * 7919))
  let left = statements
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: connections }, (_, n) => oneConnection(n)))
  return performance.now() - startedMs

  async function oneConnection(n: number): Promise<void> {
    let at = n
    let connection: RawConnection | null = null
    await new Promise<void>((resolve, reject) => {
      const ready = (): void => {
        if (left-- > 0) connection!.write(messages[at++ % messages.length]!)
        else resolve()
      }
      connect({
        url,
        parameters: {},
        prologue: [],
        timeoutMs: 15_000,
        sink: { message: (type) => type === 0x5a && ready(), part() {}, malformed() {} },
        afterChunk() {},
        closed() {},
      }).then((opened) => {
        connection = opened
        opened.write(Buffer.concat([buildParse('s', sql), sync]))
      }, reject)
    })
    connection!.end()
  }
}
