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
import type { FinishSettings } from './finish.worker.js'
import { codeOf, endedBy } from './write-trouble.js'

/** A write that takes longer than this hangs; the thread is not waited for. */
const ABANDON_MS_MAX = 40

export type DrainThread = {
  readonly id: string
  /** Settles when the recording is sealed; null: the thread died first. */
  readonly ended: Promise<Manifest | null>
  /** Why it died, and what to do. */
  readonly failure: () => string
  incident(incident: Incident): void
  /** Settles when it has let go after RingProducer.abandon(); a thread that stands still is ended by force. */
  abandoned(): Promise<void>
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
  let failedBy = ''
  let manifest: Manifest | null = null
  const ended = new Promise<Manifest | null>((resolve) => {
    worker.once('exit', () => {
      port1.close()
      resolve(manifest)
    })
  })
  let lettingGo: () => void = () => {}
  const letGo = new Promise<void>((resolve) => {
    lettingGo = resolve
  })
  const id = await new Promise<string>((resolve, reject) => {
    worker.on('message', (message: DrainMessage) => {
      if (message.kind === 'ready') resolve(message.id)
      else if (message.kind === 'trouble') onTrouble(message.trouble)
      else if (message.kind === 'ended') manifest = message.manifest
      else if (message.kind === 'abandoned') lettingGo()
      else {
        failure = new HarnessError(message.error as HarnessErrorParts)
        failedBy = message.by
      }
    })
    worker.on('error', (error) => {
      failure ??= error
      failedBy ||= codeOf(error)
    })
    worker.once('exit', () => reject(failure ?? new Error('the drain ended before it began')))
  })
  return {
    id,
    ended,
    failure: () => (failedBy === '' ? 'the recording thread ended' : endedBy(failedBy, settings.path)),
    incident: (incident) => port1.postMessage(incident),
    abandoned: async () => {
      let force: NodeJS.Timeout | undefined
      // In a call that waits for a disk it ends when that returns; it does nothing in between, and nobody waits for it.
      const forced = new Promise<void>((resolve) => {
        force = setTimeout(() => {
          void worker.terminate()
          resolve()
        }, ABANDON_MS_MAX)
      })
      await Promise.race([letGo, ended, forced])
      clearTimeout(force)
    },
    terminate: async () => {
      await worker.terminate()
    },
  }
}

/** Seals what an interrupted drain left behind; null: that failed as well, and what was committed is still there. */
export function finishInterrupted(settings: FinishSettings): Promise<Manifest | null> {
  const worker = new Worker(workerFile(import.meta.url, './finish.worker.js'), { workerData: settings })
  return new Promise((resolve) => {
    worker.once('message', resolve)
    worker.once('error', () => resolve(null))
    worker.once('exit', () => resolve(null))
  })
}
