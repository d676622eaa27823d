import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { startServer } from '../../replayer/shadow/server.js'

declare module 'vitest' {
  interface ProvidedContext {
    serverUrl: string
  }
}

/** Worker threads run built files, so a test run begins with a build; one server serves all tests, each makes databases of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url)), '--quick'], {
    stdio: 'inherit',
  })
  const server = await startServer()
  project.provide('serverUrl', server.url())
  return () => server.stop()
}
