/**
 * What an answer teaches about generated values: this row, which production was given 5 for, is 6 here.
 *
 * A lesson that is wrong sends every later statement about that row to another one, so only what must be the same row teaches. A
 * statement that makes a row says what was generated for it. One that reads may be shown another row than production was (V2
 * leaves one out, and LIMIT takes the next), so of numbers from a sequence it teaches nothing. Random keys may be shown nowhere else: there it does, as
 * long as all that the two rows show besides agrees, and nothing is known about either key. A foreign key may point at the wrong
 * row, which is for comparing to find.
 *
 * A row that production made and this run did not (its INSERT failed, or found nothing to copy) has a key here that nobody has: were
 * its number sent as it is, and another row has drawn it meanwhile, that one would be changed in its place. Pure.
 */
import { canonicalText } from '../../segment/canonical.js'
import type { Column, Outcome } from '../../segment/outcome.js'
import { columnName, type Domain, type Domains, mayBeDrawn } from '../../sql/domains.js'
import { type Insertion, insertionBehind } from '../../sql/insertions.js'
import { chanceInText } from '../../sql/nondeterminism.js'
import type { CatalogIndex } from '../../sql/relations.js'

/** Sequences of positive numbers; below zero nobody draws. */
const NUMBER = /^[1-9]\d*$/

export type Lesson = {
  readonly domain: string
  readonly recorded: string
  readonly actual: string
  /** False: only where nothing is known about either of the two. */
  readonly sure: boolean
}

export class Teacher {
  readonly #index: CatalogIndex
  readonly #domains: Domains

  constructor(index: CatalogIndex, domains: Domains) {
    this.#index = index
    this.#domains = domains
  }

  /** `insertions`: what the statement inserts, by table. */
  lessons(insertions: ReadonlyMap<number, Insertion>, recorded: Outcome, actual: Outcome): readonly Lesson[] {
    const [then, now] = [recorded.rows ?? [], actual.rows ?? []]
    if (recorded.columns === null || then.length === 0) return []
    if (now.length === 0) return this.#unborn(insertions, recorded)
    if (then.length !== now.length) return []
    const lessons: Lesson[] = []
    for (const [at, column] of recorded.columns.entries()) {
      const name = columnName(column.tableOid, column.attnum)
      const domain = this.#domains.get(name)
      // A result whose columns stand in another order shows something else at this place.
      if (domain === undefined || actual.columns?.[at]?.name !== column.name) continue
      const insertion = behind(domain, name, column, insertions)
      const values = new Set(then.map((cells, row) => `${cells[at]} ${now[row]![at]}`))
      const known = this.#trust(domain, insertion, recorded, actual, values.size === 1)
      if (known === 'nothing') continue
      for (const [row, cells] of then.entries()) {
        const [was, is] = [cells[at] ?? null, now[row]![at] ?? null]
        if (was === null || is === null || (was === is && known !== 'sure')) continue
        if (insertion?.surelyNew !== true && !(mayBeDrawn(domain, was) && mayBeDrawn(domain, is))) continue
        lessons.push({ domain: domain.name, recorded: was, actual: is, sure: known === 'sure' })
      }
    }
    return lessons
  }

  /** Numbers from sequences only: a random key that was never made is nobody's anyway. */
  #unborn(insertions: ReadonlyMap<number, Insertion>, { columns, rows }: Outcome): readonly Lesson[] {
    return columns!.flatMap(({ tableOid, attnum }, at) => {
      const name = columnName(tableOid, attnum)
      const domain = this.#domains.get(name)
      if (domain?.source !== 'sequence' || !behind(domain, name, { tableOid }, insertions)?.surelyNew) return []
      return rows!.flatMap((row) => {
        const recorded = row[at] ?? ''
        return NUMBER.test(recorded) ? [{ domain: domain.name, recorded, actual: `-${recorded}`, sure: false }] : []
      })
    })
  }

  #trust(
    domain: Domain,
    insertion: Insertion | undefined,
    recorded: Outcome,
    actual: Outcome,
    single: boolean,
  ): 'sure' | 'unsure' | 'nothing' {
    if (insertion?.surelyNew && (insertion.asGiven || (single && insertion.complete))) return 'sure'
    if (insertion === undefined && (domain.source === 'sequence' || !single)) return 'nothing'
    const agreement = this.#agreement(recorded, actual)
    const alone = single && insertion?.complete !== false
    return agreement === 'all' || (agreement === 'unknown' && alone) ? 'unsure' : 'nothing'
  }

  /** Do the rows agree in what chance has no hand in? `unknown`: they show nothing of the kind. */
  #agreement(recorded: Outcome, actual: Outcome): 'all' | 'unknown' | 'none' {
    const steady = recorded.columns!.flatMap((column, at) => (this.#isSteady(column) ? [at] : []))
    if (steady.length === 0) return 'unknown'
    const text = ({ columns, rows }: Outcome, row: number, at: number) => {
      const cell = rows![row]![at] ?? null
      return cell === null ? null : canonicalText(columns?.[at]?.typeOid ?? 0, cell)
    }
    const agree = recorded.rows!.every((_, row) =>
      steady.every((at) => text(recorded, row, at) === text(actual, row, at)),
    )
    return agree ? 'all' : 'none'
  }

  #isSteady({ tableOid, attnum }: Column): boolean {
    if (this.#domains.has(columnName(tableOid, attnum))) return false
    const column = this.#index.byOid(tableOid)?.columns.find((one) => one.attnum === attnum)
    return column !== undefined && (column.default === null || chanceInText(column.default) === 'none')
  }
}

function behind(
  { owner, ownerOid }: Domain,
  name: string,
  { tableOid }: Pick<Column, 'tableOid'>,
  insertions: ReadonlyMap<number, Insertion>,
): Insertion | undefined {
  return insertionBehind(insertions, { tableOid, ownerOid, owns: owner === name })
}
