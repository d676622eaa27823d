/** A real Chromium for the page's tests: the one named in PGREHEARSE_CHROMIUM, or one that is installed. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}

function browserPath(): string {
  const named = process.env.PGREHEARSE_CHROMIUM
  if (named !== undefined) {
    if (existsSync(named)) return named
    throw new Error(`PGREHEARSE_CHROMIUM names ${named}, which does not exist.`)
  }
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/snap/bin']
  const found = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Error(
    'The tests of the report page need a Chromium, and none was found.\n' +
      'Install one (Debian, Ubuntu: apt-get install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium),\n' +
      'or name one: PGREHEARSE_CHROMIUM=/path/to/chromium npm test',
  )
}

export type Watched = { readonly page: Page; readonly complaints: string[]; readonly requests: string[] }

/** A page that remembers everything it should not have done. */
export async function watch(page: Page): Promise<Watched> {
  const complaints: string[] = []
  const requests: string[] = []
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('requestfinished', (request) => requests.push(request.url()))
  page.on('requestfailed', (request) => {
    // What the page's own policy stopped never left.
    if (request.failure()?.errorText !== 'csp') requests.push(request.url())
  })
  return { page, complaints, requests }
}
