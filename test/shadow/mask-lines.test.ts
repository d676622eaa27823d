import { once } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MaskLines } from '../../replayer/shadow/snapshot/copy-out.js'

/** What comes out when the text arrives in pieces of these lengths, and how many rows were counted. */
async function through(text: Buffer, cuts: readonly number[], mask: ((lines: Buffer) => Buffer) | null) {
  const lines = new MaskLines(mask)
  const out: Buffer[] = []
  lines.on('data', (chunk: Buffer) => out.push(chunk))
  let at = 0
  for (const cut of [...cuts, text.length]) {
    lines.write(text.subarray(at, at + cut))
    at += cut
    if (at >= text.length) break
  }
  lines.end()
  await once(lines, 'end')
  return { text: Buffer.concat(out).toString('utf8'), rows: lines.rows }
}

test('however the stream is cut, the mask sees whole lines only, and every row counts', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', 'n'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }),
      async (lines, cuts) => {
        const text = lines.map((one) => `${one}\n`).join('')
        const whole = (some: Buffer) => {
          expect(some.at(-1)).toBe(0x0a)
          return Buffer.from(some.toString('utf8').replaceAll('\n', '!\n'))
        }
        const masked = { text: text.replaceAll('\n', '!\n'), rows: lines.length }
        expect(await through(Buffer.from(text), cuts, whole)).toEqual(masked)
        expect(await through(Buffer.from(text), cuts, null)).toEqual({ text, rows: lines.length })
      },
    ),
  )
})

test('a stream that ends inside a row is an error, not a shorter table', async () => {
  const lines = new MaskLines((some) => some)
  lines.resume()
  lines.end(Buffer.from('1\tann\n2\tbo'))
  const [error] = await once(lines, 'error')
  expect(error.message).toContain('inside a row')
})

test('an error of the mask ends the stream', async () => {
  const lines = new MaskLines(() => {
    throw new Error('no such kind')
  })
  lines.resume()
  lines.end(Buffer.from('1\n'))
  const [error] = await once(lines, 'error')
  expect(error.message).toBe('no such kind')
})
