/**
 * Markup as plain data. Text becomes HTML in one place only (`toHtml` here, `build` in ./page.browser.js), so captured
 * text cannot become markup: nobody else joins strings.
 *
 * Chunks that the page unpacks later carry the same nodes as lists: `[tag, attributes, ...children]`.
 */

export type Attributes = Readonly<Record<string, string | number | boolean | null>>
export type Element = {
  readonly tag: string
  readonly attributes: Attributes | null
  readonly children: readonly Html[]
}
export type Html = string | Element
export type Child = Html | readonly Child[] | null | undefined | false
export type Wire = string | readonly [tag: string, attributes: Attributes | null, ...children: Wire[]]

const VOID = new Set(['meta', 'input', 'br', 'col'])
const NAME = /^[a-zA-Z][a-zA-Z0-9-]*$/

/** `h('p', { class: 'why' }, 'because')`; lists of children are flattened, absent ones left out. */
export function h(tag: string, attributes: Attributes | null = null, ...children: Child[]): Element {
  return { tag, attributes, children: flatten(children) }
}

function flatten(children: readonly Child[], into: Html[] = []): Html[] {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    if (isList(child)) flatten(child, into)
    else into.push(child)
  }
  return into
}

function isList(child: Html | readonly Child[]): child is readonly Child[] {
  return Array.isArray(child)
}

export function toHtml(node: Html): string {
  if (typeof node === 'string') return escapeText(node)
  const { tag, attributes, children } = node
  const open = `<${named(tag)}${attributesOf(attributes)}>`
  return VOID.has(tag) ? open : `${open}${children.map(toHtml).join('')}</${tag}>`
}

export function toWire(node: Html): Wire {
  if (typeof node === 'string') return node
  const wire: [string, Attributes | null, ...Wire[]] = [named(node.tag), node.attributes]
  for (const child of node.children) wire.push(toWire(child))
  return wire
}

function attributesOf(attributes: Attributes | null): string {
  return Object.entries(attributes ?? {})
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => (value === true ? ` ${named(name)}` : ` ${named(name)}="${escapeText(String(value))}"`))
    .join('')
}

/** Names are ours, never captured; this keeps it so. */
function named(name: string): string {
  if (!NAME.test(name) || /^on/i.test(name)) throw new Error(`pgrehearse bug: not a name for markup: ${name}`)
  return name
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPED[character] ?? '').replaceAll('\0', '\uFFFD')
}

/** JSON that cannot end the script element it stands in. */
export function toInertJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029')
}

/** A name for deep links from an identifier of any content: `finding-`, `query-`. */
export function anchor(kind: 'finding' | 'query', id: string): string {
  return `${kind}-${id.replace(/[^A-Za-z0-9_-]/g, (character) => `.${character.codePointAt(0)?.toString(16)}`)}`
}
