/**
 * Warming up, before the clock starts: a few thousand harmless statements go the whole way that recorded ones will go (read, ordered,
 * sent, digested, booked), over a connection of their own, and nothing is kept of them.
 *
 * Without it the first second of a busy replay is late: the engine compiles our code while the statements are due. Measured at 10,000
 * statements a second on two cores: late by up to 350 ms without, 40 to 170 ms with it, see bench/README.md. A short recording is warmed up
 * less, and one of a few hundred statements not at all.
 */
import type { Frame, SafeSql, Session } from '../../segment/statement.js'
import { buildBindRest } from '../../wire/bind.js'
import { Agenda, createLane } from './agenda.js'
import { Books } from './books.js'
import { Feed, positionsOf } from './feed.js'
import type { Script } from './job.js'
import { LiveSession, type SessionHost } from './live-session.js'
import { Outbox } from './outbox.js'
import type { Plan } from './plan-shape.js'
import { createProgress, Progress } from './progress.js'
import { IDENTITY } from './remap.js'
import { AS_RECORDED } from './rewriting.js'

const STATEMENTS_MAX = 3000
/** One in so many of what a worker is to send. */
const SHARE = 20
const AHEAD = 64

export function warmUpStatements(toSend: number): number {
  return Math.min(STATEMENTS_MAX, Math.floor(toSend / SHARE))
}

/** Resolves when it is over, also when the target let nobody in: the sessions themselves will tell. */
export function warmUp(host: SessionHost, statements: number): Promise<void> {
  if (statements === 0) return Promise.resolve()
  return new Promise((resolve) => {
    const plan = planOf(statements)
    const progress = new Progress(createProgress(1, 1), 0)
    const nowUs = (): number => performance.now() * 1000
    const outbox = new Outbox(
      NOBODY,
      true,
      () => 0,
      () => {},
    )
    const books = new Books(outbox, 1)
    let ahead = 0
    const agenda = new Agenda({
      plan,
      progress,
      pacing: { speed: 1e9, rampUs: 0, think: null },
      takeTurn: null,
      nowUs,
      send: (_, job) => {
        ahead -= 1
        live.send(job)
      },
      isIdle: () => live.isIdle,
      flush: () => live.flush(),
      finished: () => live.close(),
    })
    const run = (): void => {
      do {
        if (ahead < AHEAD && !feed.hasEnded) feed.pull(AHEAD)
        agenda.run()
        // Where nobody is let in, everything passes through at once.
      } while (ahead === 0 && !feed.hasEnded)
      if (agenda.isDone) resolve()
    }
    const live = new LiveSession(createLane(0), SESSION, {
      ...host,
      agenda,
      remap: IDENTITY,
      rewrite: AS_RECORDED,
      nowUs,
      patienceMs: 0,
      outcomes: (lane, job, outcomes, doneUs) => books.outcomes(lane, job, outcomes, doneUs),
      accounted: (script, fate) => books.accounted(script, fate),
      incident: () => {},
      connected: () => {},
      before: () => undefined,
      afterChunk: run,
    })
    const feed = new Feed({
      source: scripts(statements),
      plan,
      positions: positionsOf(plan),
      own: new Map([[0, 0]]),
      originUs: 0,
      fates: null,
      offer: (_, job, { isLast }) => {
        ahead += 1
        live.lane.ended = isLast
        agenda.offer(live.lane, job)
      },
      ended: () => agenda.end(live.lane),
    })
    agenda.add(live.lane)
    void live.open()
  })
}

const NOBODY = { postMessage(): void {} }

const SESSION: Session = {
  session: 0,
  backendPid: 0,
  database: '',
  user: '',
  application: '',
  parameters: {},
  connectedUs: 0,
  prologue: [],
}

const SQL = 'SELECT n, $2::text AS word FROM generate_series(1, $1::int4) AS n' as SafeSql
const PLAIN = 'SELECT 1 AS n' as SafeSql
const NAME = 'pgrehearse_warm_up'
const ROWS = ['1', '3']

/** As drivers send them: prepared once and executed by name, parsed anew each time, and as a simple query. */
const PREPARED: readonly Frame[] = [['B', '', NAME], ['E', '', 0], ['S']]
const PREPARING: readonly Frame[] = [['P', NAME, []], ['D', 'S', NAME], ['S']]
const PARSED: readonly Frame[] = [['P', '', []], ['B', '', ''], ['D', 'P', ''], ['E', '', 0], ['S']]
const SIMPLE: readonly Frame[] = [['Q']]

function* scripts(count: number): Generator<Script> {
  for (let i = 0; i < count; i++) {
    const [sql, frames] = i === 0 ? [SQL, PREPARING] : kindOf(i)
    const takesValues = frames.some(([kind]) => kind === 'B')
    yield {
      seq: i,
      session: 0,
      ordinal: i + 1,
      transaction: i,
      part: 0,
      sentUs: i,
      doneUs: i,
      frames,
      sql,
      parameterTypes: [],
      bind: takesValues ? buildBindRest([ROWS[i & 1]!, `word ${i}`]) : null,
      copy: null,
      unreplayable: null,
    }
  }
}

function kindOf(i: number): readonly [SafeSql, readonly Frame[]] {
  if (i % 8 === 0) return [PLAIN, SIMPLE]
  return [SQL, i % 4 === 0 ? PARSED : PREPARED]
}

/** Nobody waits for anybody. */
function planOf(statements: number): Plan {
  return {
    mode: 'session',
    statementCount: statements,
    sessionCount: 1,
    session: new Int32Array(statements),
    ordinal: Int32Array.from({ length: statements }, (_, i) => i + 1),
    waitStart: new Uint32Array(statements + 1),
    waitSession: new Int32Array(0),
    waitOrdinal: new Int32Array(0),
    waitKind: new Uint8Array(0),
  }
}
