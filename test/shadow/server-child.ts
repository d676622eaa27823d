/**
 * A process that owns a server, so that tests can be somebody else, live elsewhere, or die. Prints one line of JSON when
 * the server is ready, stops it when stdin ends, and leaves without stopping it when stdin says something.
 */
import { usableBinaries } from '../../replayer/shadow/binaries.js'
import { type ServerOptions, startServer } from '../../replayer/shadow/server.js'

export type ChildRequest = ServerOptions & { readonly installed?: string }

const { installed, ...options } = JSON.parse(process.argv[2]!) as ChildRequest
const binaries = installed === undefined ? {} : { binaries: usableBinaries(installed, undefined) }
const server = await startServer({ ...options, ...binaries })
const { pid, dataDir, socketDir } = server
process.stdout.write(`${JSON.stringify({ pid, dataDir, socketDir, url: server.url(), ...binaries })}\n`)
process.stdin.once('data', () => process.exit()).once('end', () => void server.stop())
