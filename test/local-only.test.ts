/**
 * No test reaches outside the machine. Whatever a test, a fixture or a set-up names as a server is this machine, or a name that is reserved for
 * examples and leads nowhere. What a test starts asks only servers that it is given.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** This machine; what RFC 2606 and 5737 reserve; names without a dot, which only a local resolver could know. */
const NEAR =
  /^(127(\.\d+){3}|localhost|\[?::1\]?|0\.0\.0\.0|[\w-]*|([\w-]+\.)*(example|invalid|test|localhost)|([\w-]+\.)*example\.(com|net|org)|(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+)$/i
/** Names of XML's vocabularies, which nobody opens. */
const VOCABULARIES = new Set(['www.w3.org', 'json.schemastore.org', 'json-schema.org'])

const URLS = /\b(?:postgres(?:ql)?|https?|tcp|wss?|ftp):\/\/(?:[^\s'"`/@]*@)?(\[[^\]]*\]|[^\s'"`/:?#,<>)\\$]+)/g
const HOSTS = /\b(?:host|hostname|hostaddr)(?:['"]?\s*[:=]\s*)['"]?([\w-]+(?:\.[\w-]+)+)/g

/** Servers that a text names and that are not here. */
function outside(text: string): readonly string[] {
  const named = [...text.matchAll(URLS), ...text.matchAll(HOSTS)].map(([, host]) => host!)
  return named.filter((host) => !NEAR.test(host) && !VOCABULARIES.has(host) && !isCode(host))
}

/** `host: options.host` names no server. */
function isCode(host: string): boolean {
  return /^[a-z]\w*\.[a-zA-Z]\w*$/.test(host) && /\.(host|hostname|url|address|listen|name|socketDir)$/.test(host)
}

function* textsUnder(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* textsUnder(path)
    else if (/\.(ts|mjs|js|sql|ya?ml|json|sh|toml|conf|ini)$/.test(entry.name)) yield path
  }
}

test.each([
  'postgres://me:secret@db.elsewhere.io:5432/x',
  "fetch('https://packages.elsewhere.io/pg')",
  "new pg.Client({ host: 'db.internal.elsewhere.io' })",
  'host=10.1.2.3 dbname=x',
  'http://[2001:db8::1]/',
])('is seen: %s', (text) => expect(outside(text)).toHaveLength(1))

test.each(['postgres://me@127.0.0.1:5432/x', 'https://api.shop.example/', "host: 'localhost'", 'http://[::1]:80/'])(
  'is here: %s',
  (text) => expect(outside(text)).toEqual([]),
)

test('no test, fixture or set-up names a server that is elsewhere', () => {
  const files = [
    ...textsUnder(join(ROOT, 'test')),
    ...textsUnder(join(ROOT, 'fixtures')),
    join(ROOT, 'vitest.config.ts'),
  ]
  expect(files.length).toBeGreaterThan(200)
  const own = fileURLToPath(import.meta.url)
  const found = files
    .filter((file) => file !== own)
    .flatMap((file) => outside(readFileSync(file, 'utf8')).map((host) => `${relative(ROOT, file)}: ${host}`))
  expect(found).toEqual([])
})
