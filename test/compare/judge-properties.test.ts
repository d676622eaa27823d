import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judge } from '../../replayer/compare/judge.js'
import type { Row } from '../../segment/outcome.js'
import { column, context, knowledge, outcome } from './examples.js'

describe('properties', () => {
  const cell = fc.option(fc.string({ maxLength: 4 }), { freq: 5 })
  const table = fc
    .integer({ min: 1, max: 4 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 12 }))
  const columnsOf = (rows: readonly Row[]) => rows[0]!.map((_, at) => column(`c${at}`))

  test('a permutation of an unordered result is never a discrepancy', () =>
    fc.assert(
      fc.property(
        table.chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
        fc.integer({ min: 0, max: 12 }),
        ([rows, shuffled], keep) => {
          const columns = columnsOf(rows)
          const judged = judge(
            outcome(columns, rows, keep),
            outcome(columns, shuffled, keep),
            knowledge(columns),
            context(),
          )
          expect(judged.verdict).not.toBe('discrepancy')
        },
      ),
    ))

  test('a changed cell always is, wherever it stands and however many rows are kept', () =>
    fc.assert(
      fc.property(
        table.chain((rows) =>
          fc.tuple(
            fc.constant(rows),
            fc.shuffledSubarray(rows, { minLength: rows.length }),
            fc.nat(rows.length - 1),
            fc.nat(rows[0]!.length - 1),
            cell,
          ),
        ),
        fc.integer({ min: 0, max: 12 }),
        ([rows, shuffled, row, at, value], keep) => {
          fc.pre(shuffled[row]![at] !== value)
          const after = shuffled.map((cells, i) => (i === row ? cells.map((c, j) => (j === at ? value : c)) : cells))
          const columns = columnsOf(rows)
          const judged = judge(
            outcome(columns, rows, keep),
            outcome(columns, after, keep),
            knowledge(columns),
            context(),
          )
          expect(judged.verdict).toBe('discrepancy')
        },
      ),
    ))

  test('another number of rows always is', () =>
    fc.assert(
      fc.property(table, fc.nat(11), fc.integer({ min: 0, max: 12 }), (rows, gone, keep) => {
        const columns = columnsOf(rows)
        const after = rows.filter((_, at) => at !== gone % rows.length)
        const judged = judge(outcome(columns, rows, keep), outcome(columns, after, keep), knowledge(columns), context())
        expect(judged.verdict).toBe('discrepancy')
      }),
    ))
})
