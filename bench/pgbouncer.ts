/** Debian's PgBouncer in session mode, for bench/recorder: what people put in front of PostgreSQL already. null: not installed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'

export type PgBouncer = {
  readonly port: number
  readonly pid: number
  readonly version: string
  stop(): Promise<void>
}

const ANSWERS_MS_MAX = 5000

export async function startPgBouncer(folder: string, serverUrl: string): Promise<PgBouncer | null> {
  const asked = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' })
  if (asked.error) return null
  const version = asked.stdout.split('\n')[0] ?? ''
  const { port: serverPort, username, password, pathname } = new URL(serverUrl)
  const port = await freePort()
  const ini = join(folder, 'pgbouncer.ini')
  const server = `host=127.0.0.1 port=${serverPort} dbname=${pathname.slice(1)} user=${username} password=${password}`
  writeFileSync(
    ini,
    `[databases]
${pathname.slice(1)} = ${server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 20
log_connections = 0
log_disconnections = 0
`,
    { mode: 0o600 },
  )
  // It does not run as root.
  const asUser = process.getuid?.() === 0 ? ['-u', 'postgres'] : []
  const child = spawn('pgbouncer', ['-q', ...asUser, ini], { stdio: 'ignore' })
  await answers(child, Object.assign(new URL(serverUrl), { port: String(port) }).toString())
  return {
    port,
    pid: child.pid!,
    version,
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGINT')
      await once(child, 'exit')
    },
  }
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  const until = performance.now() + ANSWERS_MS_MAX
  for (;;) {
    const client = new pg.Client(url)
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (child.exitCode !== null || performance.now() > until) throw error
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
