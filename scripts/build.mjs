/**
 * Build: TypeScript to dist/, then the files that are not TypeScript (SQL, YAML, CSS, browser scripts) beside it.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const rooms = ['fixtures', 'reports', 'segment', 'replayer']
const asset = /\.(sql|ya?ml|css|html|browser\.js)$/

// --quick: over the last build and without checking types; what a test run does before it starts.
const quick = process.argv.includes('--quick')
if (!quick) rmSync(join(root, 'dist'), { recursive: true, force: true })
const tsc = join(root, 'node_modules/typescript/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', ...(quick ? ['--noCheck'] : [])], {
  cwd: root,
  stdio: 'inherit',
})
for (const room of rooms) copyAssets(room)
const main = join(root, 'dist/cli/main.js')
if (existsSync(main)) chmodSync(main, 0o755)

function copyAssets(folder) {
  if (!existsSync(join(root, folder))) return
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) copyAssets(path)
    else if (asset.test(entry.name)) cpSync(join(root, path), join(root, 'dist', path))
  }
}
