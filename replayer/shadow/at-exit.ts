/**
 * What must still be done when the process ends without having cleaned up: one listener for all servers, newest task first,
 * so that a server is told to stop before its files go.
 */
const tasks = new Set<() => void>()

/** `task` must be synchronous. Returns what takes it back. */
export function atExit(task: () => void): () => void {
  if (tasks.size === 0) process.on('exit', runTasks)
  tasks.add(task)
  return () => {
    tasks.delete(task)
    if (tasks.size === 0) process.off('exit', runTasks)
  }
}

function runTasks(): void {
  for (const task of [...tasks].reverse()) task()
}
