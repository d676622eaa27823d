/**
 * A statement on one database of a rehearsal, in a transaction that is always rolled back.
 *
 * Only what a restore marked is touched. On a golden the transaction is read-only as well: a rollback does not give back the numbers
 * that a sequence gave out, and every replay starts from there.
 */
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { EXIT, HarnessError } from '../base/errors.js'
import { connect, describeUrl } from '../replayer/shadow/connect.js'
import { readMarker } from '../replayer/shadow/marker.js'
import type { Answer } from '../reports/reproduction.js'

export type Asked = { readonly sql: string; readonly parameters: readonly (string | null)[] }

const ROWS_MAX = 1_000
const STATEMENT_LIMIT_MS = 300_000

/** Of several statements `which` answers, the last one unless said; the first that is refused ends it, and is the answer. */
export async function answerOf(
  url: string,
  asked: readonly Asked[],
  signal: AbortSignal,
  which = asked.length - 1,
): Promise<Answer> {
  const client = await connect(url)
  // Ending a client that waits for an answer closes its socket.
  const stop = () => void client.end().catch(() => {})
  signal.addEventListener('abort', stop)
  try {
    const marker = await readMarker(client)
    if (marker === null) throw noShadow(url)
    await client.query(marker.role === 'golden' ? 'BEGIN READ ONLY' : 'BEGIN')
    await client.query(`SET LOCAL statement_timeout = ${STATEMENT_LIMIT_MS}`)
    const answers: Answer[] = []
    for (const one of asked) if (!answers.at(-1)?.error) answers.push(await ask(client, one))
    await client.query('ROLLBACK')
    return answers.find(({ error }) => error !== null) ?? answers[Math.min(which, answers.length - 1)]!
  } finally {
    signal.removeEventListener('abort', stop)
    await client.end().catch(() => {})
  }
}

/** The extended protocol takes one statement only, so a text cannot end the transaction and go on. Values stay text. */
function ask(client: pg.Client, { sql, parameters }: Asked): Promise<Answer> {
  const config = {
    text: sql,
    values: [...parameters],
    rowMode: 'array' as const,
    queryMode: 'extended',
    types: { getTypeParser: () => (text: string) => text },
  }
  const query = new pg.Query<(string | null)[], (string | null)[]>(config)
  const rows: (string | null)[][] = []
  let rowCount = 0
  const startedMs = performance.now()
  const took = () => performance.now() - startedMs
  return new Promise((resolve, reject) => {
    query.on('row', (row) => {
      rowCount += 1
      if (rowCount <= ROWS_MAX) rows.push(row)
    })
    query.on('end', ({ fields, command, rowCount: affected }) => {
      const columns = fields.map(({ name }) => name)
      const tag = columns.length > 0 || affected === null ? command : `${command} ${affected}`
      resolve({ columns, rows, rowCount, tag, elapsedMs: took(), error: null })
    })
    query.on('error', (error) => {
      // Without a SQLSTATE it was not the server that spoke.
      if (!(error instanceof pg.DatabaseError) || error.code === undefined) return reject(error)
      const { code: sqlstate, message } = error
      resolve({ columns: [], rows: [], rowCount: 0, tag: '', elapsedMs: took(), error: { sqlstate, message } })
    })
    client.query(query)
  })
}

function noShadow(url: string): HarnessError {
  return new HarnessError({
    code: 'NOT_A_SHADOW',
    message: `will not run a captured statement on ${describeUrl(url)}`,
    detail: 'it carries no shadow marker, so it may be anything',
    hint: 'Name databases that `pgrehearse snapshot restore` made, or clones of them; or leave out --run and judge the script yourself.',
    exit: EXIT.usage,
  })
}
