/** What happens between a client and its answer makes no garbage: collecting it would be a pause for everybody. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { buildBindRest } from '../../wire/bind.js'
import { buildBind, buildExecute, buildSync } from '../../wire/frontend.js'
import { server } from './messages.js'

const run = promisify(execFile)

/** The built twin: with it comes no transpiler that has garbage of its own. */
const built = (file: string) => JSON.stringify(new URL(`../../dist/recorder/tap/${file}`, import.meta.url).href)
const bytes = (message: Buffer) => `Buffer.from('${message.toString('base64')}', 'base64')`

const STATEMENTS = 1_000_000
const NURSERY_MB = 1
const BEGUN = 'now it counts'

/** How often the young generation had to be collected while so many statements came by. */
async function collections(perStatement: string): Promise<number> {
  const greeting = Buffer.concat([server.authenticationOk(), server.key(7), server.ready('I')])
  const question = Buffer.concat([buildBind('', 's', buildBindRest(['42'])), buildExecute(''), buildSync()])
  const answer = Buffer.concat([
    server.message('2'),
    server.row(['a value']),
    server.complete('SELECT 1'),
    server.ready('I'),
  ])
  const script = `
    const [{ createRing, RingProducer }, { SessionTap }, { createTally, Tally }] = await Promise.all(
      [${built('ring.js')}, ${built('session-tap.js')}, ${built('tally.js')}].map((file) => import(file)))
    const shared = createRing(1 << 20)
    const control = new Int32Array(shared, 0, 2)
    const tap = new SessionTap(1, new Uint8Array(8), new RingProducer(shared), new Tally(createTally()))
    tap.server(${bytes(greeting)}, 0)
    const question = ${bytes(question)}
    const answer = ${bytes(answer)}
    const pass = (statements) => {
      for (let i = 0; i < statements; i++) {
        tap.client(question, i)
        tap.server(answer, i + 1)
        // As if it had all been read.
        if (i % 100 === 0) control[1] = control[0]
        ${perStatement}
      }
    }
    pass(50_000)
    if (tap.phase !== 'recording') throw new Error(tap.phase)
    console.log('${BEGUN}')
    pass(${STATEMENTS})
    if (tap.phase !== 'recording') throw new Error(tap.phase)`
  const flags = ['--trace-gc', `--max-semi-space-size=${NURSERY_MB}`, '--input-type=module', '--eval', script]
  const { stdout } = await run(process.execPath, flags)
  return stdout.slice(stdout.indexOf(BEGUN)).match(/Scavenge|Mark-Compact/g)?.length ?? 0
}

test('a million statements pass the tap, and nothing has to be collected', async () => {
  expect(await collections('')).toBe(0)
})

test('the measure notices sixteen bytes a statement', async () => {
  expect(await collections('globalThis.kept = { i }')).toBeGreaterThan(10)
})
