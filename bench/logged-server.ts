/**
 * A server of ours started once more with its csvlog on, for benches that need the log of the traffic that was also recorded. Ours
 * never logs to files, because its first words are read from its standard error; so this one is started by hand and asked until it answers.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'
import { embeddedBinaries, usableBinaries } from '../replayer/shadow/binaries.js'
import { serverIdentity } from '../replayer/shadow/identity.js'
import { startServer } from '../replayer/shadow/server.js'

const ANSWERS_MS_MAX = 10_000

/** What pgreplay needs to find in a log. */
const LOG_SETTINGS = {
  listen_addresses: '127.0.0.1',
  fsync: 'off',
  max_connections: '200',
  logging_collector: 'on',
  log_destination: 'csvlog',
  log_directory: 'log',
  log_rotation_size: '0',
  log_statement: 'all',
  log_connections: 'on',
  log_disconnections: 'on',
  log_min_error_statement: 'log',
  log_min_messages: 'error',
  lc_messages: 'C',
}

export type LoggedServer = { readonly url: string; stop(): Promise<void> }

export async function startLoggedServer(
  dataDir: string,
  fill: (url: string) => Promise<unknown>,
): Promise<LoggedServer> {
  const first = await startServer({ dataDir })
  const url = first.url()
  try {
    await fill(url)
  } finally {
    await first.stop()
  }
  const identity = await serverIdentity(dataDir)
  const settings = { ...LOG_SETTINGS, port: String(first.port), unix_socket_directories: '' }
  const child = spawn(
    join(usableBinaries(embeddedBinaries(), identity), 'postgres'),
    ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...identity, stdio: 'ignore' },
  )
  const gone = once(child, 'exit')
  await answers(url)
  return {
    url,
    async stop() {
      child.kill('SIGINT')
      await gone
    },
  }
}

async function answers(url: string): Promise<void> {
  for (const untilMs = performance.now() + ANSWERS_MS_MAX; ; ) {
    const client = new pg.Client(url)
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (performance.now() > untilMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
