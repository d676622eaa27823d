/**
 * What to send in place of a recorded text: hand-written statements first, then the hook, then the rules about tables; what none of them
 * covers goes out as recorded. Worked out once for each shape of text, then only the literals are put in.
 */
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Catalog } from '../../segment/catalog.js'
import type { RewrittenText } from '../../segment/run.js'
import { type Lexed, lex } from '../../sql/lex.js'
import { fingerprint, loadParser, parse } from '../../sql/parse.js'
import { type Group, NotRewritable, type RuleBook, rewriteSql } from '../../sql/rewrite.js'
import { fillTemplate, type Template } from '../../sql/rewrite-text.js'
import { type Mapping, mappingFault, parseMapping, type StatementMapping } from './mapping.js'
import { bindRules } from './rules.js'

/** All that a worker thread needs to rewrite as the others do. */
export type RewriteSource = {
  /** The mapping's text, and where it was read. */
  readonly text: string
  readonly file: string
  /** Folder that a hook's path starts from. */
  readonly folder: string
  /** Equal for mappings that say the same. */
  readonly hash: string
  readonly before: Catalog
  readonly after: Catalog
}

export type Said = {
  /** The whole text to send by the simple protocol. */
  readonly sql: string
  /** For each statement of the recorded text: how many stand for it, and which gives the result. */
  readonly groups: readonly Group[]
  /** The statements one by one, where several stand for one. */
  readonly statements: readonly string[] | null
  /** Which rule: `table orders`, `statement on line 12`, `hook`. */
  readonly by: string
  /** Of the mapping. */
  readonly line: number
}

/** Why a statement stays as it is although a rule is about it. */
export type Unsaid = { readonly reason: string }

export type HookStatement = { readonly sql: string; readonly fingerprint: string }
type HookAnswer =
  | string
  | readonly string[]
  | { readonly statements: readonly string[]; readonly result?: number }
  | null
  | undefined
type Hook = (statement: HookStatement) => HookAnswer

type Plan =
  | Unsaid
  | null
  | {
      readonly template: Template
      readonly said: Omit<Said, 'sql' | 'statements'>
      readonly statements: readonly Template[] | null
    }

const SHAPES_MAX = 20_000

/** `onRewritten` hears of each kind of text once. */
export async function loadRewriter(
  source: RewriteSource,
  onRewritten: (text: RewrittenText) => void = () => {},
): Promise<Rewriter> {
  await loadParser()
  const mapping = parseMapping(source.text, source.file)
  const book = bindRules(mapping, source.before, source.after)
  return new Rewriter(mapping, book, mapping.hook === null ? null : await loadHook(mapping, source.folder), onRewritten)
}

export class Rewriter {
  readonly mapping: Mapping
  readonly book: RuleBook
  readonly #byFingerprint = new Map<string, StatementMapping>()
  readonly #hook: Hook | null
  readonly #onRewritten: (text: RewrittenText) => void
  readonly #plans = new Map<string, Plan>()
  /** Of texts without literals: what prepared statements are. */
  readonly #fixed = new Map<string, Said | Unsaid | null>()

  constructor(
    mapping: Mapping,
    book: RuleBook,
    hook: Hook | null,
    onRewritten: (text: RewrittenText) => void = () => {},
  ) {
    this.mapping = mapping
    this.book = book
    this.#hook = hook
    this.#onRewritten = onRewritten
    for (const statement of mapping.statements) {
      const key = statement.fingerprint ?? fingerprint(statement.pattern ?? '')
      const fault = (what: string, why: string) => mappingFault(mapping.file, statement.line, what, why)
      if (key === '')
        throw fault('the pattern does not parse', 'PostgreSQL refuses it; it is an example of the recorded statement')
      const other = this.#byFingerprint.get(key)
      if (other !== undefined)
        throw fault('two rules for one statement', `the one on line ${other.line} is about the same`)
      for (const sql of statement.sql)
        if (parse(sql)?.length !== 1)
          throw fault(
            '`sql` does not parse as one statement',
            'PostgreSQL refuses it, or it is several: write those as a list',
          )
      this.#byFingerprint.set(key, statement)
    }
  }

  /** How many kinds of text have been looked at. */
  get kinds(): number {
    return this.#plans.size
  }

  /** null: the text goes out as it is. */
  of(sql: string): Said | null {
    const found = this.look(sql)
    return found === null || 'reason' in found ? null : found
  }

  /** As `of`, with the reason where a rule does not reach. */
  look(sql: string): Said | Unsaid | null {
    const known = this.#fixed.get(sql)
    if (known !== undefined) return known
    const lexed = lex(sql)
    const found = this.#look(sql, lexed)
    if (lexed.starts.length === 0) {
      if (this.#fixed.size >= SHAPES_MAX) this.#fixed.clear()
      this.#fixed.set(sql, found)
    }
    return found
  }

  #look(sql: string, lexed: Lexed): Said | Unsaid | null {
    const key = lexed.sound ? lexed.shape : sql
    const ofText = this.#plans.get(sql)
    let plan = ofText ?? this.#plans.get(key)
    if (plan === undefined) {
      const made = this.#plan(sql, lexed)
      plan = made.plan
      if (this.#plans.size >= SHAPES_MAX) this.#plans.clear()
      const recorded = made.isOfThisTextOnly ? sql : key
      this.#plans.set(recorded, plan)
      if (plan !== null && !('reason' in plan))
        this.#onRewritten({ recorded, sent: plan.template, by: plan.said.by, ...answering(plan.said.groups) })
    }
    if (plan === null || 'reason' in plan) return plan
    return {
      ...plan.said,
      sql: fillTemplate(plan.template, sql, lexed),
      statements: plan.statements?.map((template) => fillTemplate(template, sql, lexed)) ?? null,
    }
  }

  #plan(sql: string, lexed: Lexed): { plan: Plan; isOfThisTextOnly: boolean } {
    if (this.#byFingerprint.size > 0 || this.#hook !== null) {
      const key = fingerprint(sql)
      const statement = this.#byFingerprint.get(key)
      if (statement !== undefined) return { plan: byHand(statement, sql, lexed), isOfThisTextOnly: false }
      const answer = key === '' ? null : this.#hook?.({ sql, fingerprint: key })
      if (answer != null) return { plan: byHook(answer, this.mapping.lineOf('hook')), isOfThisTextOnly: true }
    }
    try {
      const found = rewriteSql(sql, this.book)
      if (found === null) return { plan: null, isOfThisTextOnly: false }
      const by = found.tables.map((table) => `table ${table}`).join(', ')
      const plan = {
        template: found.template,
        said: { groups: found.groups, by, line: this.mapping.lineOf('tables', found.tables[0] ?? '') },
        statements: null,
      }
      return { plan, isOfThisTextOnly: found.isOfThisTextOnly }
    } catch (error) {
      if (error instanceof NotRewritable) return { plan: { reason: error.message }, isOfThisTextOnly: false }
      throw error
    }
  }
}

/** Which of several statements gives the result, where that is not the last. */
function answering([group]: Said['groups']): Pick<RewrittenText, 'answers'> {
  return group === undefined || group.result >= group.count - 1 ? {} : { answers: group.result }
}

/** `$1` is the recorded statement's first parameter; where it has none, its first literal. */
function byHand({ sql, result, line }: StatementMapping, recorded: string, { starts }: Lexed): Plan {
  const hasParameters = /\$\d/.test(recorded)
  const template = (text: string): Template => {
    if (hasParameters || starts.length === 0) return [text]
    return text
      .split(/(\$\d+)/)
      .map((piece) =>
        /^\$\d+$/.test(piece) && Number(piece.slice(1)) <= starts.length ? Number(piece.slice(1)) - 1 : piece,
      )
  }
  const statements = sql.map(template)
  const whole = statements.flatMap((one, at) => (at === 0 ? one : ['; ', ...one]))
  return {
    template: whole,
    said: { groups: [{ count: sql.length, result }], by: `statement on line ${line}`, line },
    statements: sql.length > 1 ? statements : null,
  }
}

function byHook(answer: NonNullable<HookAnswer>, line: number): Plan {
  const statements = typeof answer === 'string' ? [answer] : 'statements' in answer ? answer.statements : answer
  const result =
    typeof answer !== 'string' && 'statements' in answer
      ? (answer.result ?? statements.length) - 1
      : statements.length - 1
  return {
    template: [statements.join('; ')],
    said: { groups: [{ count: statements.length, result }], by: 'hook', line },
    statements: statements.length > 1 ? statements.map((one) => [one]) : null,
  }
}

type HookModule = { rewrite?: unknown; default?: unknown }

/** TypeScript where Node itself does not read it: through tsx. */
async function importModule(path: string): Promise<HookModule> {
  const { href } = pathToFileURL(path)
  try {
    return (await import(href)) as HookModule
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error
    const { tsImport } = await import('tsx/esm/api')
    return (await tsImport(href, import.meta.url)) as HookModule
  }
}

async function loadHook(mapping: Mapping, folder: string): Promise<Hook> {
  const path = isAbsolute(mapping.hook!) ? mapping.hook! : resolve(folder, mapping.hook!)
  let module: HookModule
  try {
    module = await importModule(path)
  } catch (cause) {
    throw new HarnessError({
      code: 'HOOK_INVALID',
      message: `cannot load the hook ${path}`,
      detail: cause instanceof Error ? cause.message : 'it is no module',
      hint: `Line ${mapping.lineOf('hook')} of ${mapping.file} names it; it exports a function \`rewrite\`.`,
      exit: EXIT.usage,
      cause,
    })
  }
  const hook = module.rewrite ?? module.default
  if (typeof hook === 'function') return hook as Hook
  throw mappingFault(
    mapping.file,
    mapping.lineOf('hook'),
    'the hook exports no function `rewrite`',
    `${path} was loaded`,
    'Write `export function rewrite({ sql, fingerprint }) { … }`; null leaves a statement as it is.',
  )
}
