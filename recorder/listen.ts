/**
 * Where the proxy listens: ports and Unix sockets as people name them, sockets that a crash left behind, and what to say when an
 * address cannot be had.
 */
import { lstatSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { EXIT, HarnessError } from '../base/errors.js'
import { type ClientTls, secureContextOf } from './tap/client-tls.js'
import type { ListenAddress, ListenFailed } from './tap/listener.js'
import type { Upstream } from './tap/upstream.js'

/** Longer paths do not fit into the kernel's address of a Unix socket. */
export const SOCKET_PATH_BYTES_MAX = 103

export function addressText(address: ListenAddress): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`
}

/** Refuses an address that is the server's own, and makes room where a socket was left behind. */
export async function prepareListen(addresses: readonly ListenAddress[], upstream: Upstream): Promise<void> {
  for (const address of addresses) {
    if (isUpstream(address, upstream)) {
      throw new HarnessError({
        code: 'LISTEN_IS_UPSTREAM',
        message: `the proxy cannot listen at ${addressText(address)}`,
        detail: 'that is the server it should forward to.',
        hint: 'Choose another address for --listen.',
        exit: EXIT.usage,
      })
    }
    if ('path' in address) await removeStaleSocket(address.path)
  }
}

function isUpstream(address: ListenAddress, { host, port }: Upstream): boolean {
  if ('path' in address) return host.startsWith('/') && address.path === socketPath(host, port)
  return address.port !== 0 && address.port === port && address.host === host
}

/** The name PostgreSQL's clients look for in a folder. */
export function socketPath(folder: string, port: number): string {
  return `${folder.replace(/\/+$/, '')}/.s.PGSQL.${port}`
}

/** Only a socket that nobody answers at; anything else is left for listen() to stumble over. */
async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() && !(await someoneAnswers(path))) rmSync(path)
}

export function someoneAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

export function cannotListen({ address, cause }: ListenFailed): HarnessError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
  const used = code === 'EADDRINUSE'
  return new HarnessError({
    code: used ? 'PORT_IN_USE' : 'CANNOT_LISTEN',
    message: `cannot listen at ${addressText(address)}`,
    detail: used ? 'another program listens there.' : `${code}.`,
    hint: used ? 'Choose another address, or stop that program.' : 'Check the address given as --listen.',
    cause,
  })
}

/** Read and tried at once: a wrong pair is a matter of the start, not of the first client. */
export function readClientTls(certificateFile: string, keyFile: string): ClientTls {
  const tls = { certificate: readPem(certificateFile, '--tls-cert'), key: readPem(keyFile, '--tls-key') }
  try {
    secureContextOf(tls)
  } catch (cause) {
    throw new HarnessError({
      code: 'CERTIFICATE_UNUSABLE',
      message: `cannot use the certificate ${certificateFile}`,
      detail: `with the key ${keyFile} it gives ${(cause as NodeJS.ErrnoException).code ?? 'an error'}.`,
      hint: 'Give both as PEM, the key without a passphrase, and belonging together.',
      exit: EXIT.usage,
      cause,
    })
  }
  return tls
}

function readPem(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new HarnessError({
      code: 'CERTIFICATE_UNREADABLE',
      message: `cannot read ${path}`,
      detail: `${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}.`,
      hint: `Check the path given as ${option}.`,
      exit: EXIT.usage,
      cause,
    })
  }
}
