/**
 * The page's own script: unpacks what the page carries, sorts and searches the latency table, follows deep links.
 *
 * The page reads well without it. It makes elements and sets text; it never parses markup, and the page's policy would
 * not let it. Nodes come as `[tag, attributes, ...children]`.
 */
const SVG = 'http://www.w3.org/2000/svg'
const SVG_TAGS = new Set(['svg', 'path', 'line', 'rect', 'circle', 'text'])
const ITEMS_PER_STEP = 100

const carried = JSON.parse(document.getElementById('carried').textContent)
const byId = (id) => document.getElementById(id)

function build(node) {
  if (typeof node === 'string') return document.createTextNode(node)
  const [tag, attributes, ...children] = node
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.map(build))
  return element
}

async function unpack(chunkId) {
  const text = atob(byId(chunkId).textContent)
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  return JSON.parse(await new Response(stream).text())
}

// ── Findings: the full list, a hundred at a time ────────────────────────────────────────────────────────────────────

for (const holder of document.querySelectorAll('[data-all]')) {
  const button = holder.querySelector('button')
  const waiting = [...(carried.findings[holder.dataset.all] ?? [])]
  const list = build(['ol', { class: 'items' }])
  button.addEventListener('click', async () => {
    button.disabled = true
    const items = await unpack(waiting.shift())
    const first = list.childElementCount
    list.append(...items.map(listItem))
    holder.insertBefore(list, button)
    list.children[first]?.querySelector('summary')?.focus()
    button.disabled = false
    button.setAttribute('aria-expanded', 'true')
    button.textContent = `Show ${ITEMS_PER_STEP} more`
    if (waiting.length === 0) button.remove()
  })
}

function listItem([summary, body]) {
  const details = build(['details', { class: 'discrepancy' }, ['summary', null, summary]])
  details.addEventListener('toggle', () => details.append(build(body)), { once: true })
  return build(['li', null]).appendChild(details).parentElement
}

// ── Latency: sort, search, details ──────────────────────────────────────────────────────────────────────────────────

const table = byId('queries')
const rowsOf = () => [...table.tBodies[0].rows].filter((row) => row.dataset.sql !== undefined)
const detailOf = new Map()
let allRows = null

/** Rows beyond the first hundred join the table once. */
function loadAllRows() {
  allRows ??= Promise.all(carried.queryRows.map(unpack)).then((chunks) => {
    table.tBodies[0].append(...chunks.flat().map(build))
    byId('query-more')?.parentElement.remove()
  })
  return allRows
}

const isOpen = (row) => detailOf.get(row)?.isConnected === true

async function toggleDetail(row, open) {
  const button = row.querySelector('.expand')
  button.setAttribute('aria-expanded', String(open))
  if (open && !detailOf.has(row)) {
    const { perChunk, chunkIds } = carried.queryDetails
    const position = Number(row.dataset.detail)
    const nodes = await unpack(chunkIds[Math.floor(position / perChunk)])
    // The reader may have asked twice, or closed it again, while it was unpacked.
    if (!detailOf.has(row)) {
      const id = `${row.id}-detail`
      button.setAttribute('aria-controls', id)
      detailOf.set(row, build(['tr', { class: 'detail', id }, ['td', { colspan: 6 }, nodes[position % perChunk]]]))
    }
  }
  if (button.getAttribute('aria-expanded') === 'true') row.after(detailOf.get(row))
  else detailOf.get(row)?.remove()
  fitDetails()
}

/** Over the columns that are shown: spanning one that a narrow screen hides would bring its width back. */
function fitDetails() {
  const shown = [...table.tHead.rows[0].cells].filter((cell) => cell.getClientRects().length > 0).length
  for (const cell of table.querySelectorAll('.detail > td')) cell.colSpan = shown
}
addEventListener('resize', () => table && fitDetails())

function sortBy(heading) {
  const key = heading.querySelector('button').dataset.sort
  // Figures begin with the largest, texts with A.
  const current = heading.getAttribute('aria-sort')
  const descending = key === 'sql' ? current === 'ascending' : current !== 'descending'
  for (const other of heading.parentElement.cells) other.setAttribute('aria-sort', 'none')
  heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending')
  const sign = descending ? -1 : 1
  const compare =
    key === 'sql'
      ? (a, b) => a.dataset.sql.localeCompare(b.dataset.sql)
      : (a, b) => Number(a.dataset[key]) - Number(b.dataset[key])
  const rows = rowsOf().sort((a, b) => sign * compare(a, b))
  table.tBodies[0].append(...rows.flatMap((row) => (isOpen(row) ? [row, detailOf.get(row)] : [row])))
}

function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
  const rows = rowsOf()
  let shown = 0
  for (const row of rows) {
    const text = `${row.dataset.sql} ${row.id}`
    row.hidden = !wanted.every((word) => text.includes(word))
    if (!row.hidden) shown += 1
    const detail = detailOf.get(row)
    if (detail) detail.hidden = row.hidden
  }
  const shapes = `${rows.length.toLocaleString('en-US')} query ${rows.length === 1 ? 'shape' : 'shapes'}`
  byId('query-count').textContent = wanted.length === 0 ? shapes : `${shown.toLocaleString('en-US')} of ${shapes}`
}

if (table) {
  table.tHead.addEventListener('click', async (event) => {
    const heading = event.target.closest('button')?.closest('th')
    if (!heading) return
    await loadAllRows()
    sortBy(heading)
  })
  table.tBodies[0].addEventListener('click', (event) => {
    const button = event.target.closest('.expand')
    if (button) void toggleDetail(button.closest('tr'), button.getAttribute('aria-expanded') !== 'true')
  })
  byId('query-search').addEventListener('input', async (event) => {
    await loadAllRows()
    search(event.target.value)
  })
  byId('query-more')?.addEventListener('click', loadAllRows)
}

// ── Deep links: #finding-…, #query-… ────────────────────────────────────────────────────────────────────────────────

async function follow() {
  const id = decodeURIComponent(location.hash.slice(1))
  if (id === '') return
  if (table && id.startsWith('query-') && !byId(id)) await loadAllRows()
  const target = byId(id)
  if (!target) return
  if (target.matches('details')) target.open = true
  if (target.matches('tr')) {
    if (target.hidden) {
      byId('query-search').value = ''
      search('')
    }
    await toggleDetail(target, true)
  }
  target.scrollIntoView()
  target.querySelector('summary, .expand')?.focus({ preventScroll: true })
}

addEventListener('hashchange', follow)
// A link to where one already is changes nothing in the address, but the reader asked again.
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#"]')
  if (link && link.hash === location.hash) void follow()
})
void follow()

// ── Copy, theme, print ──────────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener('click', async (event) => {
  const button = event.target.closest('.copy')
  if (!button) return
  const command = button.parentElement.querySelector('.command')
  getSelection().selectAllChildren(command)
  try {
    await navigator.clipboard.writeText(command.textContent)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Selected: copy by hand'
  }
  setTimeout(() => {
    button.textContent = 'Copy'
  }, 2000)
})

const theme = byId('theme')
const prefersDark = matchMedia('(prefers-color-scheme: dark)')
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? 'dark' : 'light')) === 'dark'
const showTheme = () => theme.setAttribute('aria-pressed', String(isDark()))

/** Storage is refused in some browsers for pages opened from a file; the page then forgets. */
function stored(action) {
  try {
    return action(localStorage)
  } catch {
    return null
  }
}

const remembered = stored((storage) => storage.getItem('pgrehearse-theme'))
if (remembered === 'dark' || remembered === 'light') document.documentElement.dataset.theme = remembered
theme.addEventListener('click', () => {
  const next = isDark() ? 'light' : 'dark'
  document.documentElement.dataset.theme = next
  stored((storage) => storage.setItem('pgrehearse-theme', next))
  showTheme()
})
prefersDark.addEventListener('change', showTheme)
showTheme()

let opened = []
addEventListener('beforeprint', () => {
  opened = [...document.querySelectorAll('details.finding:not([open])')]
  for (const details of opened) details.open = true
})
addEventListener('afterprint', () => {
  for (const details of opened) details.open = false
})
