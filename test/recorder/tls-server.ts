/** Certificates for tests, and a server of our own that speaks TLS with one. */
import { execFileSync } from 'node:child_process'
import { chownSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { readClientTls } from '../../recorder/listen.js'
import type { ClientTls } from '../../recorder/tap/client-tls.js'
import type { OwnedServer } from '../../replayer/shadow/server.js'
import { buildSslRequest } from '../../wire/startup.js'

/** Signed by itself, for localhost or for whom it names. */
export function certificate(folder: string, name: string, commonName = 'localhost'): ClientTls {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  const names = ['-subj', `/CN=${commonName}`, '-addext', 'subjectAltName=DNS:localhost']
  const how = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', '-x509', ...how, ...names], { stdio: 'ignore' })
  return readClientTls(cert, key)
}

/** A file in the server's data folder that the server may read. */
export function writeServerFile(server: OwnedServer, name: string, text: string): void {
  const path = join(server.dataDir, name)
  writeFileSync(path, text, { mode: 0o600 })
  const { uid, gid } = statSync(server.dataDir)
  if (process.getuid?.() === 0) chownSync(path, uid, gid)
}

export async function switchOnTls(
  server: OwnedServer,
  tls: ClientTls,
  settings: readonly string[] = [],
): Promise<void> {
  writeServerFile(server, 'server.crt', tls.certificate)
  writeServerFile(server, 'server.key', tls.key)
  const client = new pg.Client(server.url())
  await client.connect()
  for (const setting of [...settings, 'ssl = on']) await client.query(`ALTER SYSTEM SET ${setting}`)
  await client.query('SELECT pg_reload_conf()')
  await client.end()
  // The postmaster reads its settings when it gets to it.
  for (let offered = ''; offered !== 'S'; ) offered = await answerToSslRequest(server.port)
}

function answerToSslRequest(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(buildSslRequest()))
    socket.once('error', reject)
    socket.once('data', (answer) => {
      socket.destroy()
      resolve(answer.toString('latin1'))
    })
  })
}
