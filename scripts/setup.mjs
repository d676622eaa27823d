/**
 * Set-up: after a clone, `npm run demo` and `npm test` call this first. It installs what the lock file names when it is
 * not installed yet, and builds when a source is newer than the build. Node and npm only; nothing else is there yet.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules/.pgrehearse-installed')

const lockHash = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const wanted = `${lockHash} node-${process.versions.modules}`
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) install()
if (buildIsStale()) {
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'inherit' })
}

function install() {
  console.error('Installing dependencies (once; about a minute, most of it compiling SQLite) …')
  const env = { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false' }
  // Where only a package registry is reachable, native add-ons compile and need Node's headers; an installed Node
  // usually has them under its own prefix, so nothing has to be downloaded.
  const prefix = dirname(dirname(process.execPath))
  if (!env.npm_config_nodedir && existsSync(join(prefix, 'include/node/node.h'))) env.npm_config_nodedir = prefix
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      env,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32',
    })
  } catch {
    console.error(
      'Could not install the dependencies: npm ci failed (its message is above).\n' +
        'A C++ toolchain (g++, make, python3) is needed where no prebuilt SQLite can be downloaded.',
    )
    process.exit(4)
  }
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, wanted)
}

function buildIsStale() {
  const built = join(root, 'dist/cli/main.js')
  if (!existsSync(built)) return true
  const builtAt = statSync(built).mtimeMs
  const rooms = [
    'base',
    'segment',
    'wire',
    'sql',
    'privacy',
    'recorder',
    'replayer',
    'reports',
    'cli',
    'fixtures',
    'bench',
    'scripts',
  ]
  return rooms.some((room) => newerThan(join(root, room), builtAt)) || newerThan(join(root, 'tsconfig.json'), builtAt)
}

function newerThan(path, time) {
  if (!existsSync(path)) return false
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs > time
  return stat.mtimeMs > time || readdirSync(path).some((name) => newerThan(join(path, name), time))
}
