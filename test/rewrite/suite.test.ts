/** How much is shown: sequences of statements that are rewritten, each executed on the old and the new schema by the tests beside this one. */
import { expect, test } from 'vitest'
import { CASES as CHANGED_CASES } from './changed-cases.js'
import { CHANGED } from './changed-world.js'
import { CASES as PARTITION_CASES } from './partition-cases.js'
import { PARTITIONED } from './partition-world.js'
import { READS, WRITES } from './split-cases.js'
import { SPLIT } from './split-world.js'
import { type Asked, createWorld, type WorldParts } from './world.js'

const textOf = (asked: Asked) => (typeof asked === 'string' ? asked : asked[0])

test('at least 150 of them, none twice', async () => {
  const split = [...READS.map((one) => [one]), ...WRITES]
  const found = [
    ...(await rewritten(SPLIT, split)),
    ...(await rewritten(CHANGED, CHANGED_CASES)),
    ...(await rewritten(PARTITIONED, PARTITION_CASES)),
  ]
  console.log(`${found.length} sequences of statements are rewritten, executed and compared`)
  expect(found.length).toBeGreaterThanOrEqual(150)
  expect(new Set(found).size).toBe(found.length)
})

async function rewritten(parts: WorldParts, cases: readonly (readonly Asked[])[]): Promise<string[]> {
  const world = await createWorld(parts)
  try {
    return cases
      .map((sequence) => sequence.map(textOf))
      .filter((texts) => texts.some((sql) => world.rewrite(sql) !== sql))
      .map((texts) => JSON.stringify(texts))
  } finally {
    await world.close()
  }
}
