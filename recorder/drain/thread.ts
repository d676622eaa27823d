/**
 * The drain seen from the main thread: started, told, ended, or ended at once. Its death is news, never an exception.
 */

import { MessageChannel, Worker } from 'node:worker_threads'
import { HarnessError, type HarnessErrorParts } from '../../base/errors.js'
import { workerFile } from '../../base/worker-file.js'
import type { Manifest } from '../../segment/manifest.js'
import type { Incident } from '../../segment/segment-writer.js'
import type { Trouble } from './drain.js'
import type { DrainMessage, DrainSettings } from './drain.worker.js'

export type DrainThread = {
  readonly id: string
  /** Settles when the recording is sealed; null: the thread died first. */
  readonly ended: Promise<Manifest | null>
  incident(incident: Incident): void
  terminate(): Promise<void>
}

export async function startDrain(
  settings: Omit<DrainSettings, 'port'>,
  onTrouble: (trouble: Trouble) => void,
): Promise<DrainThread> {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(workerFile(import.meta.url, './drain.worker.js'), {
    workerData: { ...settings, port: port2 },
    transferList: [port2],
    // Whoever looks at the process sees which thread eats its time.
    name: 'pgrehearse-drain',
  })
  port1.unref()
  let failure: Error | null = null
  let manifest: Manifest | null = null
  const ended = new Promise<Manifest | null>((resolve) => {
    worker.once('exit', () => {
      port1.close()
      resolve(manifest)
    })
  })
  const id = await new Promise<string>((resolve, reject) => {
    worker.on('message', (message: DrainMessage) => {
      if (message.kind === 'ready') resolve(message.id)
      else if (message.kind === 'trouble') onTrouble(message.trouble)
      else if (message.kind === 'ended') manifest = message.manifest
      else {
        failure = new HarnessError(message.error as HarnessErrorParts)
        onTrouble({ kind: 'recording failed', detail: message.error.code })
      }
    })
    worker.on('error', (error) => {
      failure ??= error
    })
    worker.once('exit', () => reject(failure ?? new Error('the drain ended before it began')))
  })
  return {
    id,
    ended,
    incident: (incident) => port1.postMessage(incident),
    terminate: async () => {
      await worker.terminate()
    },
  }
}
