/** The agenda, driven by a clock that only moves when told to: order, time, pipelines, and several workers side by side. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Agenda, createLane, type Lane } from '../../replayer/run/agenda.js'
import { createJob, type Job, type Script, timingOf } from '../../replayer/run/job.js'
import type { Speed } from '../../replayer/run/pace.js'
import type { Plan } from '../../replayer/run/plan-shape.js'
import { createProgress, Progress } from '../../replayer/run/progress.js'

type Statement = {
  readonly session: number
  readonly sentUs?: number
  readonly doneUs?: number
  readonly frames?: Script['frames']
  /** Indexes of the statements it waits for; negative: for the snapshot only (-1 is index 0). */
  readonly waits?: readonly number[]
}

type Sent = { readonly index: number; readonly atUs: number; job: Job; lane: Lane }

/** Workers in one thread: virtual time, and a server that answers after `serviceUs`. */
function simulate(
  statements: readonly Statement[],
  options: { readonly workers?: number; readonly speed?: Speed; readonly serviceUs?: (index: number) => number },
) {
  const { workers = 1, speed = 'max', serviceUs = () => 100 } = options
  const sessions = Math.max(...statements.map(({ session }) => session)) + 1
  const plan = planOf(statements, sessions)
  const shared = createProgress(sessions, workers)
  let nowUs = 0
  const sent: Sent[] = []
  const done = new Map<number, number>()
  const snapshots = new Map<number, number>()
  const flushed: number[] = []
  const later: { atUs: number; act: () => void }[] = []
  const crews = Array.from({ length: workers }, (_, worker) => {
    const progress = new Progress(shared, worker)
    const agenda: Agenda = new Agenda({
      plan,
      progress,
      pacing: { speed, rampUs: 0, think: null },
      takeTurn: null,
      nowUs: () => nowUs,
      send: (lane, job) => {
        const index = job.indexes[0]!
        sent.push({ index, atUs: nowUs, job, lane })
        const us = serviceUs(index)
        later.push({
          atUs: nowUs + us / 2,
          act: () => {
            snapshots.set(index, nowUs)
            agenda.snapshotTaken(lane, job)
          },
        })
        later.push({
          atUs: nowUs + us,
          act: () => {
            for (const at of job.indexes) done.set(at, nowUs)
            agenda.answered(lane, job)
          },
        })
      },
      flush: (lane) => flushed.push(lane.session),
      finished: (lane) => agenda.done(lane),
    })
    return { agenda, progress }
  })
  const lanes = Array.from({ length: sessions }, (_, session) => {
    const lane = createLane(session)
    crews[session % workers]!.agenda.add(lane)
    lane.open = true
    return lane
  })
  statements.forEach(({ session }, index) => {
    const job = createJob([scriptOf(statements[index]!, plan.ordinal[index]!)], [index], statements[index]!.sentUs ?? 0)
    crews[session % workers]!.agenda.offer(lanes[session]!, job)
  })
  for (const lane of lanes) {
    lane.ended = true
    crews[lane.session % workers]!.agenda.touch(lane)
  }
  const turn = () => {
    for (const { agenda, progress } of crews) {
      if (progress.pollWake()) agenda.woken()
      agenda.run()
    }
  }
  const settle = () => {
    // A wake-up by a later worker reaches an earlier one in the next round.
    for (let i = 0; i < workers + 1; i++) turn()
  }
  for (settle(); !crews.every(({ agenda }) => agenda.isDone); settle()) {
    later.sort((a, b) => a.atUs - b.atUs)
    const nextUs = Math.min(later[0]?.atUs ?? Number.POSITIVE_INFINITY, ...crews.map(({ agenda }) => agenda.nextDueUs))
    if (nextUs === Number.POSITIVE_INFINITY) break
    nowUs = Math.max(nowUs, nextUs)
    while (later[0] !== undefined && later[0].atUs <= nowUs) later.shift()!.act()
  }
  return { sent, done, snapshots, flushed, nowUs, finished: crews.every(({ agenda }) => agenda.isDone), speed }
}

function scriptOf(statement: Statement, ordinal: number): Script {
  const sentUs = statement.sentUs ?? 0
  const frames = statement.frames ?? [['Q']]
  return { ordinal, sentUs, doneUs: statement.doneUs ?? sentUs, frames } as unknown as Script
}

function planOf(statements: readonly Statement[], sessionCount: number): Plan {
  const ordinals = new Array<number>(sessionCount).fill(0)
  const session = Int32Array.from(statements, (statement) => statement.session)
  const ordinal = Int32Array.from(statements, (statement) => ++ordinals[statement.session]!)
  const waits = statements.flatMap(({ waits = [] }, of) => waits.map((on) => ({ of, on })))
  const target = (on: number) => (on < 0 ? -1 - on : on)
  const waitStart = new Uint32Array(statements.length + 1)
  for (const { of } of waits) waitStart[of + 1]! += 1
  for (let i = 0; i < statements.length; i++) waitStart[i + 1]! += waitStart[i]!
  return {
    mode: 'causal',
    statementCount: statements.length,
    sessionCount,
    session,
    ordinal,
    waitStart,
    waitSession: Int32Array.from(waits, ({ on }) => session[target(on)]!),
    waitOrdinal: Int32Array.from(waits, ({ on }) => ordinal[target(on)]!),
    waitKind: Uint8Array.from(waits, ({ on }) => (on < 0 ? 1 : 0)),
  }
}

describe('time', () => {
  const statements = Array.from({ length: 50 }, (_, i) => ({ session: i % 3, sentUs: i * 10_000 }))

  test.each([0.1, 0.5, 1, 1.5, 10])('at %d times the speed the whole takes what it should', (speed) => {
    const { sent } = simulate(statements, { speed })
    expect(sent.at(-1)!.atUs).toBe((49 * 10_000) / speed)
    for (const { index, atUs } of sent) expect(atUs).toBe((index * 10_000) / speed)
  })

  test('a slow server delays its own session only, and the schedule does not drift', () => {
    const { sent } = simulate(statements, { speed: 1, serviceUs: (index) => (index === 0 ? 45_000 : 100) })
    const late = sent.filter(({ index, atUs }) => atUs > index * 10_000)
    expect(late.map(({ index, atUs }) => [index, atUs])).toEqual([[3, 45_000]])
    expect(timingOf(late[0]!.job, 45_100, 1)).toEqual({
      dueUs: 30_000,
      sentUs: 45_000,
      doneUs: 45_100,
      waitOrderUs: 0,
      waitSessionUs: 15_000,
      waitWorkerUs: 0,
    })
  })

  test('waiting for the order is told from waiting for the session', () => {
    const { sent } = simulate(
      [
        { session: 0, sentUs: 0 },
        { session: 1, sentUs: 1000, waits: [0] },
      ],
      { speed: 1, serviceUs: () => 5000 },
    )
    expect(timingOf(sent[1]!.job, 10_000, 1)).toMatchObject({ dueUs: 1000, waitOrderUs: 4000, waitSessionUs: 0 })
  })

  test('max sends as fast as answers come', () => {
    expect(simulate(statements, { speed: 'max' }).nowUs).toBe(17 * 100)
  })
})

describe('order', () => {
  test('a statement that waits for a snapshot goes when it is taken, not when the reader is done', () => {
    const { sent } = simulate([{ session: 0 }, { session: 1, waits: [-1] }], { serviceUs: () => 1000 })
    expect(sent.map(({ index, atUs }) => [index, atUs])).toEqual([
      [0, 0],
      [1, 500],
    ])
  })

  test('a parked session does not hold up the others', () => {
    const { sent } = simulate([{ session: 0 }, { session: 1, waits: [0] }, { session: 2 }], { serviceUs: () => 1000 })
    expect(sent.map(({ index }) => index)).toEqual([0, 2, 1])
  })

  /** Waits lead to earlier statements only, as in a plan; anything else may happen in any order. */
  const anyPlan = fc
    .record({
      sessions: fc.integer({ min: 1, max: 8 }),
      workers: fc.integer({ min: 1, max: 4 }),
      seeds: fc.array(fc.tuple(fc.nat(), fc.array(fc.nat(), { maxLength: 4 }), fc.integer({ min: 1, max: 500 })), {
        minLength: 1,
        maxLength: 80,
      }),
    })
    .map(({ sessions, workers, seeds }) => {
      const statements = seeds.map(([session, waits], index) => ({
        session: session % sessions,
        waits: index === 0 ? [] : waits.map((on) => (on % 3 === 0 ? -1 - (on % index) : on % index)),
      }))
      return { statements, workers, serviceUs: seeds.map(([, , us]) => us) }
    })

  test('whatever the plan and however many workers: everything is sent, every wait is kept, sessions stay in order', () => {
    fc.assert(
      fc.property(anyPlan, ({ statements, workers, serviceUs }) => {
        const run = simulate(statements, { workers, serviceUs: (index) => serviceUs[index]! })
        expect(run.finished).toBe(true)
        expect(run.sent.length).toBe(statements.length)
        const sentAt = new Map(run.sent.map(({ index, atUs }) => [index, atUs]))
        statements.forEach(({ session, waits }, index) => {
          for (const on of waits) {
            const reached = on < 0 ? run.snapshots.get(-1 - on)! : run.done.get(on)!
            expect(sentAt.get(index)).toBeGreaterThanOrEqual(reached)
          }
          const before = statements.findLastIndex((other, at) => at < index && other.session === session)
          if (before >= 0) expect(sentAt.get(index)).toBeGreaterThanOrEqual(run.done.get(before)!)
        })
      }),
      { numRuns: 300 },
    )
  })
})

describe('pipelines', () => {
  const open: Script['frames'] = [
    ['P', '', []],
    ['B', '', ''],
    ['E', '', 0],
  ]
  const closed: Script['frames'] = [...open, ['S']]

  test('exchanges without a Sync go out together', () => {
    const { sent } = simulate(
      [
        { session: 0, frames: open },
        { session: 0, frames: open },
        { session: 0, frames: closed },
        { session: 0, frames: closed },
      ],
      {},
    )
    expect(sent.map(({ atUs }) => atUs)).toEqual([0, 0, 0, 100])
  })

  test('what production sent before the answer came is not held back', () => {
    const { sent } = simulate(
      [
        { session: 0, frames: closed, sentUs: 0, doneUs: 900 },
        { session: 0, frames: closed, sentUs: 100, doneUs: 950 },
        { session: 0, frames: closed, sentUs: 2000, doneUs: 2100 },
      ],
      {},
    )
    expect(sent.map(({ atUs }) => atUs)).toEqual([0, 0, 100])
  })

  test('one that parks in the middle asks for the answers before it: others may wait for them', () => {
    const { flushed, finished } = simulate(
      [
        { session: 0, frames: open },
        { session: 1, waits: [0] },
        { session: 0, frames: closed, waits: [1] },
      ],
      {},
    )
    expect(flushed).toEqual([0])
    expect(finished).toBe(true)
  })
})
