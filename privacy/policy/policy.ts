/**
 * policy.yaml: which column holds which kind of personal value. Read, checked, and hashed here; laid over a schema in ./columns.ts.
 *
 * ```yaml
 * version: 1
 * locale: en                    # of the invented names
 * columns:
 *   public.users.email: email   # schema.table.column; * stands for any part of a name
 *   public.*.note: text
 *   public.users.profile:       # inside JSON, by path; whatever is not named is text
 *     json: { contact.email: email, tags[*]: keep }
 * settings:                     # of a session: what SET, set_config() and a connection give them
 *   app.user: email
 *   application_name: keep
 * ```
 */
import { createHash } from 'node:crypto'
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import { z } from 'zod'
import { EXIT, HarnessError } from '../../base/errors.js'
import { isKind, KINDS, type Kind } from '../kinds.js'
import { LOCALES, type Locale } from '../tokens/dictionary.js'
import { TOKEN_VERSION } from '../tokens/index.js'
import { nearest } from './nearest.js'

export type JsonRule = { readonly path: string; readonly kind: Exclude<Kind, 'json'> }

export type PolicyRule = {
  /** `schema.table.column`, with `*` for any part. */
  readonly pattern: string
  readonly kind: Kind
  /** For `json`: what is inside. */
  readonly json: readonly JsonRule[]
  readonly line: number
}

export type Policy = {
  readonly file: string
  readonly locale: Locale
  readonly rules: readonly PolicyRule[]
  /** Settings whose names have a dot, and application_name. */
  readonly settings: Readonly<Record<string, Exclude<Kind, 'json'>>>
}

/** Names nothing: every text-like column is `text`. */
export const EMPTY_POLICY: Policy = { file: '(no policy)', locale: 'en', rules: [], settings: {} }

const kindSchema = z.string()
const policySchema = z.strictObject({
  version: z.literal(1),
  locale: z.enum(LOCALES).optional(),
  columns: z
    .record(z.string(), z.union([kindSchema, z.strictObject({ json: z.record(z.string(), kindSchema) })]))
    .nullish(),
  settings: z.record(z.string(), kindSchema).nullish(),
})

/** The policy in a file's text. Throws a `HarnessError` that names file, line and the nearest valid name. */
export function parsePolicy(text: string, file: string): Policy {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const lineOf = (node: unknown): number => {
    const range = (node as Node | null | undefined)?.range
    return range ? lines.linePos(range[0]).line : 1
  }
  const broken = document.errors[0]
  if (broken !== undefined)
    throw refused(file, broken.linePos?.[0].line ?? 1, 'is not valid YAML', broken.message.split('\n')[0]!)
  const parsed = policySchema.safeParse(document.toJS())
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw schemaFault(file, lineOf(keyNode(document.contents, issue.path.map(String), issue)), issue)
  }
  const columns = isMap(document.contents) ? document.contents.get('columns', true) : null
  const rules = isMap(columns) ? columns.items.map((item) => readRule(file, item.key, item.value, lineOf)) : []
  const named = isMap(document.contents) ? document.contents.get('settings', true) : null
  const settings = isMap(named) ? named.items.map((item) => readSetting(file, item.key, item.value, lineOf)) : []
  return { file, locale: parsed.data.locale ?? 'en', rules, settings: Object.fromEntries(settings) }
}

function readSetting(
  file: string,
  key: unknown,
  value: unknown,
  lineOf: (node: unknown) => number,
): [string, Exclude<Kind, 'json'>] {
  const name = String(isScalar(key) ? key.value : key).toLowerCase()
  const kind = readKind(file, lineOf(value), String(isScalar(value) ? value.value : ''))
  if (kind === 'json')
    throw refused(file, lineOf(key), `\`${name}\` cannot be JSON`, 'a setting is one value', 'Use text or keep.')
  if (!name.includes('.') && name !== 'application_name')
    throw refused(
      file,
      lineOf(key),
      `\`${name}\` is a setting of the server`,
      'its values are words of the language and are kept',
      'Only application_name and settings with a dot in their names are masked; remove the line.',
    )
  return [name, kind]
}

function readRule(file: string, key: unknown, value: unknown, lineOf: (node: unknown) => number): PolicyRule {
  const pattern = String(isScalar(key) ? key.value : key)
  const line = lineOf(key)
  if (splitName(pattern).length !== 3) {
    throw refused(
      file,
      line,
      `\`${pattern}\` does not name a column`,
      'a column is named by three parts: schema.table.column',
      `Write for example public.${splitName(pattern).slice(-2).join('.')}, or *.${splitName(pattern).slice(-2).join('.')} for any schema.`,
    )
  }
  if (isScalar(value)) return { pattern, kind: readKind(file, lineOf(value), String(value.value)), json: [], line }
  const inside = (value as YAMLMap).get('json', true)
  const json = isMap(inside)
    ? inside.items.map((item): JsonRule => {
        const path = String(isScalar(item.key) ? item.key.value : item.key)
        const kind = readKind(file, lineOf(item.key), String(isScalar(item.value) ? item.value.value : ''))
        if (kind === 'json')
          throw refused(
            file,
            lineOf(item.key),
            `\`${path}\` is inside JSON already`,
            'name what the value at the path is',
          )
        return { path, kind }
      })
    : []
  return { pattern, kind: 'json', json, line }
}

function readKind(file: string, line: number, word: string): Kind {
  if (isKind(word)) return word
  throw refused(
    file,
    line,
    `\`${word}\` is not a kind of value`,
    `the kinds are ${KINDS.join(', ')}`,
    `Did you mean \`${nearest(word, KINDS)}\`?`,
  )
}

type Issue = z.core.$ZodIssue

function schemaFault(file: string, line: number, issue: Issue): HarnessError {
  const where = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!
    const known = where === '' ? ['version', 'locale', 'columns', 'settings'] : ['json']
    return refused(
      file,
      line,
      `\`${key}\` means nothing ${where === '' ? 'here' : `in ${where}`}`,
      `known here: ${known.join(', ')}`,
      `Did you mean \`${nearest(key, known)}\`?`,
    )
  }
  if (where === 'version')
    return refused(
      file,
      line,
      'the policy has no known version',
      'this build reads version 1',
      'Begin the file with `version: 1`.',
    )
  if (where === 'locale') return refused(file, line, 'the locale is not known', `known are ${LOCALES.join(', ')}`)
  return refused(
    file,
    line,
    `${where || 'the policy'} has the wrong form`,
    issue.message,
    'Write `schema.table.column: kind`.',
  )
}

/** The node of the key that an issue is about, so that its line can be named. */
function keyNode(contents: unknown, path: readonly string[], issue: Issue): unknown {
  const whole = issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]!] : path
  let node: unknown = contents
  let key: unknown = contents
  for (const step of whole) {
    if (!isMap(node)) break
    const item = node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === step)
    if (item === undefined) break
    key = item.key
    node = item.value
  }
  return key
}

export function refused(file: string, line: number, what: string, why: string, fix?: string): HarnessError {
  return new HarnessError({
    code: 'POLICY_INVALID',
    message: `${file}:${line}: ${what}`,
    detail: why,
    hint: fix ?? 'Correct the line; `pgrehearse policy suggest --from URL` prints a policy to start from.',
    exit: EXIT.usage,
  })
}

/** `public."odd.name".email` has three parts. */
export function splitName(name: string): readonly string[] {
  return (name.match(/(?:"(?:[^"]|"")*"|[^."])+/g) ?? []).map((part) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part,
  )
}

/** Equal for policies that mask alike; names of files and order of unrelated lines do not matter. */
export function policyHash(policy: Policy): string {
  const rules = policy.rules.map((rule) => [
    rule.pattern,
    rule.kind,
    rule.json.map((inside) => [inside.path, inside.kind]).sort(),
  ])
  const settings = Object.entries(policy.settings).sort()
  const canonical = JSON.stringify([
    TOKEN_VERSION,
    policy.locale,
    rules.sort(),
    ...(settings.length > 0 ? [settings] : []),
  ])
  return createHash('sha256').update(canonical).digest('hex')
}
