/**
 * Where a worker thread's file is. Threads run built JavaScript; under the test runner the asking module is still
 * TypeScript, so the built twin in dist/ is meant.
 */
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `workerFile(import.meta.url, './drain.worker.js')` */
export function workerFile(askedBy: string, relativePath: string): string {
  const beside = resolve(dirname(fileURLToPath(askedBy)), relativePath)
  if (existsSync(beside)) return beside
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
  return join(root, 'dist', relative(root, beside))
}
