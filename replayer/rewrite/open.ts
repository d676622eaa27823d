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
import { mappingFault, parseMapping, type StatementMapping } from './mapping.js'
import { prepareOn } from './prepare.js'
import { loadRewriter, type RewriteSource } from './rewriter.js'

/** `recorded`: statements written by hand must also read their parameters as the recorded server did. */
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
    const { mapping } = await loadRewriter(source)
    await checkStatements(client, mapping.statements, file, before, typesOf(mapping.statements, recorded))
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

export type RecordedTypes = { readonly fingerprint: string; readonly parameterTypes: readonly number[] }

/** By fingerprint, as which types the recorded server read the parameters; of the statements that are written by hand. */
function typesOf(
  statements: readonly StatementMapping[],
  recorded: Iterable<RecordedTypes>,
): Map<string, readonly number[]> {
  const wanted = new Set(statements.map(nameOf))
  const found = new Map<string, readonly number[]>()
  if (wanted.size === 0) return found
  for (const { fingerprint: name, parameterTypes } of recorded)
    if (parameterTypes.length > 0 && wanted.has(name)) found.set(name, parameterTypes)
  return found
}

function nameOf({ fingerprint: name, pattern }: StatementMapping): string {
  return name ?? fingerprint(pattern ?? '')
}

async function checkStatements(
  client: pg.Client,
  statements: readonly StatementMapping[],
  file: string,
  before: Catalog,
  types: ReadonlyMap<string, readonly number[]>,
): Promise<void> {
  for (const statement of statements) {
    const { sql, line } = statement
    for (const [at, one] of sql.entries()) {
      const prepared = await prepareOn(client, one, [])
      const which = sql.length > 1 ? `statement ${at + 1} of ` : ''
      const recorded = types.get(nameOf(statement))
      const changed =
        recorded && prepared.parameterTypes && changedType(recorded, prepared.parameterTypes, before, sql.length > 1)
      if (changed)
        throw mappingFault(
          file,
          line,
          `${which}\`sql\` changes the types of its parameters`,
          changed,
          'Cast the parameter to the type it had: its recorded bytes mean something else otherwise.',
        )
      // A parameter that nothing gives a type to is typed by the recorded statement.
      if (prepared.error === null || prepared.error.sqlstate === '42P18') continue
      throw mappingFault(
        file,
        line,
        `${which}\`sql\` is not valid on the target`,
        prepared.error.message,
        'Correct the statement: it is sent to the new schema as it stands here.',
      )
    }
  }
}
