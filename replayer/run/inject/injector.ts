/**
 * Runs SQL or a command at a moment of a replay, so that a migration is rehearsed under load, and writes down what it did to it.
 *
 * SQL runs statement by statement on a connection of its own, as psql would send it; a command finds the database in its environment.
 * What fails is told and ends nothing. The replay's end waits for what still runs: its duration is what one wants to know.
 */

import { HarnessError } from '../../../base/errors.js'
import type { Injection } from '../../../segment/run.js'
import { type Connected, connect, serverReason, withClient } from '../../shadow/connect.js'
import { Keeper, type Shut } from '../../shadow/doors/keeper.js'
import type { ScriptStatement } from '../../shadow/script.js'
import { readMigration, runCommandOnCopy, type ScriptFile } from '../../shadow/snapshot/migrate.js'
import type { Asked } from './moment.js'
import { Observer, type Whose } from './observer.js'
import { Sightings } from './sightings.js'

export type Work =
  | { readonly kind: 'scripts'; readonly files: readonly ScriptFile[] }
  | { readonly kind: 'command'; readonly command: string }

export type Prepared = Asked & { readonly work: Work }

/** Reads what is to be injected; throws where it cannot be read, before anything is touched. */
export async function prepareInjection(asked: Asked): Promise<Prepared> {
  const migration = await readMigration(asked.what)
  if (migration.kind === 'command') {
    return { ...asked, what: withoutPassword(asked.what), work: { kind: 'command', command: migration.command } }
  }
  return { ...asked, work: { kind: 'scripts', files: migration.files } }
}

export type InjectorOptions = {
  readonly url: string
  readonly versionNum: number
  readonly nowUs: () => number
  readonly whose: Whose
  readonly ended: (injection: Injected) => void
  /** Shuts the ways out that were opened. */
  readonly shut: Shut
  /** One of them cannot be shut: the replay must not go on. */
  readonly open: (why: string) => void
}

/** Latency around it is worked out when all outcomes are written. */
export type Injected = Omit<Injection, 'latency'>

const LOOK_MS = 50

type Running = {
  readonly prepared: Prepared
  readonly startedUs: number
  readonly sightings: Sightings
  readonly statements: { line: number; kind: string; us: number }[]
  /** Backend of its own connection; 0: a command's, which are whoever else is there. */
  pid: number
}

export class Injector {
  readonly #options: InjectorOptions
  readonly #running = new Map<Running, Promise<void>>()
  readonly #stop = new AbortController()
  #strangers: readonly number[] = []
  #watching: Promise<void> | null = null

  constructor(options: InjectorOptions) {
    this.#options = options
  }

  /** Backends that run what was injected. */
  get pids(): readonly number[] {
    return [...[...this.#running.keys()].map(({ pid }) => pid).filter((pid) => pid !== 0), ...this.#strangers]
  }

  inject(prepared: Prepared): void {
    if (this.#stop.signal.aborted) return
    const running: Running = {
      prepared,
      startedUs: this.#options.nowUs(),
      sightings: new Sightings(),
      statements: [],
      pid: 0,
    }
    this.#running.set(running, this.#run(running))
    this.#watching ??= this.#watch().finally(() => {
      this.#watching = null
      this.#strangers = []
    })
  }

  /** When everything that was begun is over. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values())
    await this.#watching
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    const pids = [...this.#running.keys()].map(({ pid }) => pid).filter((pid) => pid !== 0)
    if (pids.length === 0) return
    await withClient(this.#options.url, (client) => this.#observer(client).cancel(pids)).catch(() => {})
  }

  async #run(running: Running): Promise<void> {
    const { work } = running.prepared
    let error: Injection['error'] = null
    try {
      const { url, shut } = this.#options
      if (work.kind === 'command') await runCommandOnCopy(work.command, url, shut, this.#stop.signal)
      else for (const { statements } of work.files) await this.#runScript(running, statements)
    } catch (caught) {
      error = plain(caught)
      const cause = caught instanceof Failed ? caught.cause : caught
      if (cause instanceof HarnessError && cause.code === 'DOOR_OPEN') this.#options.open(cause.message)
    }
    this.#running.delete(running)
    const endedUs = Math.round(this.#options.nowUs())
    const { at, what } = running.prepared
    const outcome = error === null ? 'done' : this.#stop.signal.aborted ? 'stopped' : 'failed'
    const { startedUs, statements, sightings } = running
    const seen = sightings.result(endedUs)
    this.#options.ended({ at, what, outcome, error, startedUs: Math.round(startedUs), endedUs, statements, ...seen })
  }

  async #runScript(running: Running, statements: readonly ScriptStatement[]): Promise<void> {
    const client = await connect(this.#options.url)
    const keeper = new Keeper(client, this.#options.shut)
    running.pid = (client as Connected & { processID?: number }).processID ?? 0
    try {
      for (const statement of statements) {
        const { kind, line } = statement
        this.#stop.signal.throwIfAborted()
        const fromUs = this.#options.nowUs()
        try {
          await keeper.send(statement)
        } catch (cause) {
          throw new Failed(cause, line)
        } finally {
          running.statements.push({ line, kind, us: Math.round(this.#options.nowUs() - fromUs) })
        }
      }
      await keeper.end()
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** A server that is away for a moment is not looked at: what is injected says itself how it fares. */
  async #watch(): Promise<void> {
    while (this.#running.size > 0) {
      try {
        await withClient(this.#options.url, (client) => this.#lookOn(client))
      } catch {
        await pause()
      }
    }
  }

  async #lookOn(client: Connected): Promise<void> {
    const observer = this.#observer(client)
    while (this.#running.size > 0) {
      const commands = [...this.#running.keys()].some(({ prepared }) => prepared.work.kind === 'command')
      this.#strangers = commands ? await observer.strangers() : []
      for (const running of [...this.#running.keys()]) {
        const pids = running.pid === 0 ? this.#strangers : [running.pid]
        const look = await observer.look(pids, this.#options.nowUs)
        if (this.#running.has(running)) running.sightings.add(look)
      }
      await pause()
    }
  }

  #observer(client: Connected): Observer {
    const { whose, versionNum } = this.#options
    const own = (client as Connected & { processID?: number }).processID ?? 0
    const scripts = () => [...this.#running.keys()].map(({ pid }) => pid)
    return new Observer(client, versionNum, { ...whose, ours: () => [...whose.ours(), own, ...scripts()] })
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}

class Failed extends Error {
  readonly line: number
  constructor(cause: unknown, line: number) {
    super('failed', { cause })
    this.line = line
  }
}

/** What is written down of a command does not tell the password in a URL. */
function withoutPassword(command: string): string {
  return command.replace(/(\/\/[^\s:/@]+):[^\s@/]*@/g, '$1:***@')
}

/** Never the server's detail: it quotes rows. */
function plain(caught: unknown): NonNullable<Injection['error']> {
  if (caught instanceof Failed) {
    const { code } = caught.cause as { code?: string }
    return { sqlstate: code ?? null, message: serverReason(caught.cause), line: caught.line }
  }
  const { message, detail } = caught as Error & { detail?: string }
  const whole = detail === undefined ? message : `${message}: ${detail.split('\n')[0]}`
  return { sqlstate: null, message: withoutPassword(whole), line: null }
}
