/**
 * Captured text as markup: SQL with its words told apart, values as SQL people write them, unseen characters named.
 */
import { pieces } from '../text.js'
import { type Child, type Element, h } from './html.js'

/** Text that came from outside: isolated from the direction of what surrounds it. */
export function captured(text: string): Child[] {
  return pieces(text).map((piece) =>
    piece.unseen ? h('span', { class: 'unseen', title: 'a character that cannot be seen' }, piece.text) : piece.text,
  )
}

/** `'text'` or `NULL`. */
export function value(text: string | null): Element {
  return text === null ? h('span', { class: 'null' }, 'NULL') : h('bdi', null, captured(text))
}

/** Strings, comments, quoted names, parameters and words, in the order PostgreSQL would read them. */
const LEXEME =
  /('(?:[^']|'')*')|(--[^\n]*|\/\*[\s\S]*?\*\/)|("(?:[^"]|"")*")|(\$\d+)|([A-Za-z_][A-Za-z_0-9$]*)|([^'"$A-Za-z_/-]+|[\s\S])/g

const KEYWORDS = new Set(
  (
    'select from where and or not in is null join left right inner outer full cross lateral on using group by order having limit ' +
    'offset union all intersect except distinct as case when then else end insert into values update set delete returning with ' +
    'recursive exists between like ilike asc desc nulls first last for share skip locked nowait conflict do nothing default ' +
    'over partition window filter any some array cast begin commit rollback savepoint release copy to truncate create alter drop ' +
    'table index view true false only fetch next rows row'
  ).split(' '),
)

/** Highlighting only: every character of the text is kept, in its order. */
function sql(text: string): Child[] {
  const found: Child[] = []
  let run = ''
  const flush = () => {
    if (run !== '') found.push(captured(run))
    run = ''
  }
  for (const match of text.matchAll(LEXEME)) {
    const [whole, string, comment, , parameter, word] = match
    const kind = string || parameter ? 'v' : comment ? 'c' : word && KEYWORDS.has(word.toLowerCase()) ? 'k' : null
    if (kind === null) {
      run += whole
    } else {
      flush()
      found.push(h('span', { class: kind }, captured(whole)))
    }
  }
  flush()
  return found
}

/** The text, and beside it what V2 was asked in its place. */
export function sqlBlocks({ sql: before, sqlAfter }: { readonly sql: string; readonly sqlAfter?: string }): Element {
  if (sqlAfter === undefined) return sqlBlock(before)
  const side = (label: string, cls: string, text: string) =>
    h(
      'div',
      { class: 'answer' },
      h('h5', null, h('span', { class: `tag ${cls}` }, label), ' was asked'),
      sqlBlock(text),
    )
  return h('div', { class: 'answers' }, side('V1', 'before', before), side('V2', 'after', sqlAfter))
}

function sqlBlock(text: string): Element {
  const known = lastBlocks.get(text)
  if (known !== undefined) return known
  const element = h('pre', { class: 'sql', tabindex: 0 }, h('code', null, sql(text)))
  if (lastBlocks.size >= LAST_BLOCKS) lastBlocks.clear()
  lastBlocks.set(text, element)
  return element
}

/** Discrepancies come by finding, so the same statement, on one side or both, comes thousands of times in a row. */
const lastBlocks = new Map<string, Element>()
const LAST_BLOCKS = 2

/** One line for lists; the full text is one step away. */
export function sqlLine(text: string, charactersMax = 180): Element {
  const line = text
    .slice(0, charactersMax * 4)
    .replace(/\s+/g, ' ')
    .trim()
  const cut = line.length > charactersMax ? `${line.slice(0, charactersMax)}…` : line
  return h('code', { class: 'sql-line' }, cut === '' ? h('i', null, 'no text') : sql(cut))
}
