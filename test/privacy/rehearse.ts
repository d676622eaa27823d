/**
 * A whole rehearsal of a masked database: production is recorded, a snapshot taken and restored, the recording replayed on a clone of it, and every
 * statement judged against production. A second replay meets a copy in which something was changed behind its back.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { parsePolicy } from '../../privacy/policy/policy.js'
import type { Judgement } from '../../replayer/compare/judgement.js'
import { judgeFor } from '../../replayer/compare/judges.js'
import { joinBySeq } from '../../replayer/compare/merge-runs.js'
import { racesBetween } from '../../replayer/compare/races.js'
import { cloneShadow } from '../../replayer/shadow/clone.js'
import { withAdmin, withClient, withDatabase } from '../../replayer/shadow/connect.js'
import { type OwnedServer, startServer } from '../../replayer/shadow/server.js'
import { restoreSnapshot } from '../../replayer/shadow/snapshot/restore.js'
import { takeSnapshot } from '../../replayer/shadow/snapshot/take.js'
import { openRecording } from '../../segment/recording.js'
import { openRun } from '../../segment/run-file.js'
import { runOfRecording } from '../../segment/run-source.js'
import { run } from '../cli/command.js'
import { type Bench, bench, KEY, through } from '../recorder/recording.js'

export type World = {
  readonly name: string
  readonly schema: string
  readonly policy: string
  load(url: string): Promise<unknown>
  traffic(url: string): Promise<unknown>
}

export type Statement = { readonly sql: string; readonly judgement: Judgement }

export type Rehearsal = {
  readonly statements: readonly Statement[]
  /** Verdicts against production once a value of the masked copy has been changed behind the replay's back. */
  readonly spoilt: readonly Statement[]
  readonly snapshot: string
  readonly recording: string
  readonly golden: string
  /** Production as it was when the copy was taken. */
  readonly untouched: string
}

/** Where it takes place: production's server, and the one of the shadows. */
export type Stage = { readonly at: Bench; readonly live: OwnedServer; readonly shadows: OwnedServer }

export async function stage(): Promise<Stage> {
  const [live, shadows] = await Promise.all([startServer(), startServer()])
  return { at: bench(), live, shadows }
}

export async function strike({ at, live, shadows }: Stage): Promise<void> {
  await Promise.all([live.stop(), shadows.stop()])
  at.remove()
}

export async function rehearse({ at, live, shadows }: Stage, world: World, spoil: string): Promise<Rehearsal> {
  const { name } = world
  const production = live.url(name)
  await withAdmin(live.url(), (admin) => admin.query(`CREATE DATABASE ${name}`))
  await world.load(production)
  const policy = parsePolicy(readFileSync(world.policy, 'utf8'), world.policy)
  const snapshot = join(at.folder, `${name}.snapshot`)
  const masks = { policy, key: KEY }
  await takeSnapshot({ url: production, out: snapshot, masks, madeBy: 'test', schemaFile: world.schema })
  const untouched = live.url(`${name}_then`)
  await withAdmin(live.url(), (admin) => admin.query(`CREATE DATABASE ${name}_then TEMPLATE ${name}`))
  const recording = await at.start(production, { policy, out: join(at.folder, `${name}.recording`) })
  await world.traffic(through(production, recording))
  await recording.stop()
  const golden = withDatabase(shadows.url(), `${name}_golden`)
  await restoreSnapshot({ snapshot, target: golden })
  const replayed = async (how: string, sql?: string) => {
    const url = await cloneShadow(shadows.url(), `${name}_golden`, `${name}_${how}`)
    if (sql !== undefined) await withClient(url, (client) => client.query(sql))
    const out = join(at.folder, `${name}.${how}.run`)
    const ended = await run('replay', recording.path, '--target', url, '--out', out, '--speed', 'max')
    expect(ended.code, ended.stderr).toBe(0)
    return judged(recording.path, out)
  }
  return {
    statements: await replayed('shadow'),
    spoilt: await replayed('spoilt', spoil),
    snapshot,
    recording: recording.path,
    golden,
    untouched,
  }
}

/** Every statement of the recording against its replay. */
async function judged(recordingPath: string, runPath: string): Promise<readonly Statement[]> {
  const recording = openRecording(recordingPath)
  const after = openRun(runPath)
  try {
    const before = runOfRecording(recording)
    const races = await racesBetween({ before, after, recording })
    const judge = judgeFor({ before, after, recording, ambiguous: (one) => races!.has(one) }, after, null)
    const statements: Statement[] = []
    for (const { a, b, d } of joinBySeq(before.rows(), after.rows(), [], recording.statements()))
      if (a !== undefined && b !== undefined && d !== undefined)
        statements.push({ sql: d.sql, judgement: judge.judge(d, a, b).judgement })
    return statements
  } finally {
    after.close()
    recording.close()
  }
}

/** What differs and is not excused, short enough to read. */
export function findings(statements: readonly Statement[]): string[] {
  return statements.flatMap(({ sql, judgement }) =>
    judgement.verdict === 'discrepancy'
      ? [`${sql.slice(0, 300)}\n  ${JSON.stringify(judgement.differences).slice(0, 900)}`]
      : [],
  )
}

export function labelled(statements: readonly Statement[]): string[] {
  return statements.flatMap(({ sql, judgement }) =>
    judgement.verdict !== 'equal' && judgement.excuses.includes('masked') ? [sql] : [],
  )
}
