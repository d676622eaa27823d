/**
 * Writes transactions of three statements into a recording until it is killed; says after each write how far it is.
 */
import { writeSync } from 'node:fs'
import { createRecording } from '../../segment/recording-writer.js'
import { FACTS, SESSION, statement } from './examples.js'

const [path = '', segmentBytesMax = ''] = process.argv.slice(2)
const writer = createRecording(path, FACTS, { segmentBytesMax: Number(segmentBytesMax) })
writer.session(SESSION)
for (let seq = 1; ; seq += 3) {
  writer.seen({ statements: 3, transactions: 1 })
  writer.write([
    {
      scope: 'READ_WRITE',
      statements: [0, 1, 2].map((i) => statement(seq + i, { transaction: seq, parameters: ['x'.repeat(200)] })),
    },
  ])
  writer.sealIfDue()
  writeSync(1, `${seq + 2}\n`)
}
