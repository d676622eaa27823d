/**
 * A mapping from its file, checked against the recorded schema and the target: what it names exists, and what was written by hand can be
 * prepared there.
 */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type pg from 'pg'
import { EXIT, HarnessError } from '../../base/errors.js'
import type { Catalog } from '../../segment/catalog.js'
import { readCatalog } from '../../sql/read-catalog.js'
import { withClient } from '../shadow/connect.js'
import { mappingFault, parseMapping } from './mapping.js'
import { prepareOn } from './prepare.js'
import { loadRewriter, type RewriteSource } from './rewriter.js'

export async function openRewrite(file: string, before: Catalog, target: string): Promise<RewriteSource> {
  const text = readMapping(file)
  const { hash } = parseMapping(text, file)
  return withClient(target, async (client) => {
    const after = await readCatalog(client)
    const source: RewriteSource = { text, file, folder: dirname(file), hash, before, after }
    const { mapping } = await loadRewriter(source)
    await checkStatements(client, mapping.statements, file)
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

async function checkStatements(
  client: pg.Client,
  statements: readonly { readonly sql: readonly string[]; readonly line: number }[],
  file: string,
): Promise<void> {
  for (const { sql, line } of statements) {
    for (const [at, one] of sql.entries()) {
      const prepared = await prepareOn(client, one, [])
      // A parameter that nothing gives a type to is typed by the recorded statement.
      if (prepared.error === null || prepared.error.sqlstate === '42P18') continue
      const which = sql.length > 1 ? `statement ${at + 1} of ` : ''
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
