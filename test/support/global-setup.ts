import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Worker threads run built files, so a test run begins with a build (half a second). */
export default function setup(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url))], {
    stdio: 'inherit',
  })
}
