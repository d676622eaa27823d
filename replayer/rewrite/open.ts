/**
 * A mapping from its file, checked against the recorded schema and the target: what it names exists, and what was written by hand can be
 * prepared there.
 */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type pg from 'pg'
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Catalog } from '../../segment/catalog.js'
import { fingerprint } from '../../sql/parse.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { withClient } from '../shadow/connect.js'
import { changedType } from './check.js'
import { type Mapping, mappingFault, parseMapping, type StatementMapping } from './mapping.js'
import { prepareOn } from './prepare.js'
import { loadRewriter, type Rewriter, type RewriteSource } from './rewriter.js'

/** `recorded`: what is said by hand or by the hook must also read its parameters as the recorded server did. */
export async function openRewrite(
  file: string,
  before: Catalog,
  target: string,
  recorded: Iterable<RecordedTypes> = [],
): Promise<RewriteSource> {
  const text = readMapping(file)
  const { hash } = parseMapping(text, file)
  return withClient(target, async (client) => {
    const after = await readCatalog(client)
    const source: RewriteSource = { text, file, folder: dirname(file), hash, before, after }
    const rewriter = await loadRewriter(source)
    const kinds = kindsOf(rewriter.mapping, recorded)
    for (const statement of rewriter.mapping.statements) {
      const types = kinds.get(nameOf(statement))?.parameterTypes ?? []
      await checkTexts(client, { file, before, line: statement.line, what: '`sql`', texts: statement.sql, types })
    }
    if (rewriter.mapping.hook !== null) await checkHook(client, rewriter, before, kinds)
    return source
  })
}

export function readMapping(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new HarnessError({
      code: 'MAPPING_MISSING',
      message: `cannot read the mapping ${file}`,
      detail: (cause as NodeJS.ErrnoException).code ?? 'it cannot be opened',
      hint: 'Check the path; `pgrehearse rewrite suggest --from V1 --to V2` prints a mapping to start from.',
      exit: EXIT.usage,
      cause,
    })
  }
}

export type RecordedTypes = {
  readonly fingerprint: string
  readonly sql: string
  readonly parameterTypes: readonly number[]
}

/** More kinds than this are not looked at one by one. */
const KINDS_MAX = 20_000

/** One of each kind of recorded statement that somebody wrote something for, with the types of its parameters where they are known. */
function kindsOf({ statements, hook }: Mapping, recorded: Iterable<RecordedTypes>): ReadonlyMap<string, RecordedTypes> {
  const kinds = new Map<string, RecordedTypes>()
  const wanted = hook === null ? new Set(statements.map(nameOf)) : null
  if (wanted?.size === 0) return kinds
  for (const one of recorded) {
    if (one.fingerprint === '' || wanted?.has(one.fingerprint) === false) continue
    const known = kinds.get(one.fingerprint)
    if (known === undefined && kinds.size === KINDS_MAX) continue
    if (known === undefined || known.parameterTypes.length === 0) kinds.set(one.fingerprint, one)
  }
  return kinds
}

function nameOf({ fingerprint: name, pattern }: StatementMapping): string {
  return name ?? fingerprint(pattern ?? '')
}

/** What the hook says to each kind of statement that was recorded. */
async function checkHook(
  client: pg.Client,
  rewriter: Rewriter,
  before: Catalog,
  kinds: ReadonlyMap<string, RecordedTypes>,
): Promise<void> {
  const { file } = rewriter.mapping
  for (const { sql, fingerprint: name, parameterTypes: types } of kinds.values()) {
    const said = rewriter.of(sql)
    if (said?.by !== 'hook') continue
    const what = `what the hook says to ${name}`
    await checkTexts(client, { file, before, line: said.line, what, texts: said.statements ?? [said.sql], types })
  }
}

type Texts = {
  readonly file: string
  readonly before: Catalog
  readonly line: number
  /** How the message calls them. */
  readonly what: string
  readonly texts: readonly string[]
  /** As the recorded server read the parameters. */
  readonly types: readonly number[]
}

async function checkTexts(client: pg.Client, { file, before, line, what, texts, types }: Texts): Promise<void> {
  for (const [at, one] of texts.entries()) {
    const prepared = await prepareOn(client, one, [])
    const which = texts.length > 1 ? `statement ${at + 1} of ` : ''
    const changed = prepared.parameterTypes && changedType(types, prepared.parameterTypes, before, texts.length > 1)
    if (changed)
      throw mappingFault(
        file,
        line,
        `${which}${what} changes the types of its parameters`,
        changed,
        'Cast the parameter to the type it had: its recorded bytes mean something else otherwise.',
      )
    // A parameter that nothing gives a type to is typed by the recorded statement.
    if (prepared.error === null || prepared.error.sqlstate === '42P18') continue
    throw mappingFault(
      file,
      line,
      `${which}${what} is not valid on the target`,
      prepared.error.message,
      'Correct the statement: it is sent to the new schema as it stands here.',
    )
  }
}
