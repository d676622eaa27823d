/**
 * The sentinel file: when it appears, recording is killed. For whoever can reach the machine's disk and nothing else.
 *
 * The system tells us about changes of the folder; where it cannot (some network disks), we look once a second as well. Nothing here
 * waits for a disk.
 */
import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

const LOOK_MS = 1000

export function watchKillFile(path: string, found: () => void): { close(): void } {
  let over = false
  const close = () => {
    over = true
    clearInterval(timer)
    watcher?.close()
  }
  const look = () => {
    void stat(path).then(
      () => {
        if (over) return
        close()
        found()
      },
      () => {},
    )
  }
  const timer = setInterval(look, LOOK_MS)
  timer.unref()
  const watcher = watched(path, look)
  look()
  return { close }
}

/** null: the folder cannot be watched. */
function watched(path: string, look: () => void): FSWatcher | null {
  try {
    const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(path)) look()
    })
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return null
  }
}
