/**
 * `pgrehearse run` on a real PostgreSQL: what it does, what it does not do again, and what it says about both.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDiff } from '../../segment/diff-file.js'
import { run, scratch, start } from './command.js'
import { rehearsed, type Shadows, shadowServer } from './rehearsed.js'

type Step = { readonly step: string; readonly action: string; readonly why: string; readonly elapsedMs?: number }

let room: string
let shadows: Shadows
beforeAll(async () => {
  room = scratch()
  shadows = await shadowServer()
  await rehearsed(room)
}, 120_000)
afterAll(async () => {
  await shadows?.stop()
  rmSync(room, { recursive: true, force: true })
})

/** A folder with a file of its own: rehearsals of different tests do not meet. */
function rehearsal(name: string, file: object = {}): { folder: string; out: string; run: typeof go } {
  const folder = join(room, name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'v2.sql'), `-- ${name}\nALTER TABLE moves ADD COLUMN note text;\n`)
  writeFileSync(join(folder, 'v1.sql'), `SELECT 'a golden of its own: ${name}';\n`)
  writeFileSync(
    join(folder, 'pgrehearse.yaml'),
    JSON.stringify({
      recording: '../recording',
      snapshot: '../snapshot',
      server: `\${SHADOWS}`,
      v2: { migrate: 'v2.sql' },
      replay: { speed: 'max', workers: 1 },
      gate: 'gate.yaml',
      ...file,
    }),
  )
  // Time on a shared machine is not what these tests are about.
  writeFileSync(
    join(folder, 'gate.yaml'),
    'findings: {LATENCY_SPIKE: 99}\nlatency: {executions_min: 100000}\ntrust: {lateness_p95_ms: 100000}\n',
  )
  const go = (...more: string[]) =>
    start(['run', '-c', join(folder, 'pgrehearse.yaml'), ...more], { SHADOWS: shadows.url })
  return { folder, out: join(folder, 'rehearsal'), run: go }
}

async function finished(
  started: ReturnType<typeof start>,
): Promise<{ code: number | null; steps: Step[]; err: string }> {
  const { code, stdout, stderr } = await started.ended
  const said = JSON.parse(stdout) as { steps?: Step[] }
  return { code, steps: said.steps ?? [], err: stderr }
}

/** What a rehearsal found, without what its replays measured. */
function outcome(out: string) {
  const model = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'))
  return {
    compared: model.compared,
    seen: model.after.ledger.seen.statements,
    ledger: model.after.ledger,
    discrepancies: model.discrepancies,
    excused: model.excused,
    findings: model.findings.map(({ cause, count, fingerprints }: Record<string, unknown>) => ({
      cause,
      count,
      fingerprints,
    })),
    tables: model.state.tables,
    incidents: model.after.conditions.incidents.map(({ kind }: { kind: string }) => kind),
  }
}

/** Databases that a step was about to make, or was working on, when it was stopped. */
function begunIn(out: string): string[] {
  const path = join(out, 'state.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).begun : []
}

const doing = (steps: readonly Step[]) => steps.filter(({ action }) => action === 'do').map(({ step }) => step)
const ALL = ['golden V1', 'golden V2', 'baseline', 'noise', 'candidate', 'fidelity', 'compare', 'verify', 'audit']

describe('a rehearsal, again and again', () => {
  let of: ReturnType<typeof rehearsal>
  beforeAll(() => {
    of = rehearsal('again')
  })

  test('the first time everything is done, and the gate decides', async () => {
    const first = await finished(of.run('--json'))
    expect(first.code, first.err).toBe(0)
    expect(doing(first.steps)).toEqual(ALL)
    for (const { elapsedMs } of first.steps) expect(elapsedMs).toBeGreaterThan(0)
    for (const name of ['report.html', 'report.json', 'junit.xml', 'comment.md'])
      expect(existsSync(join(of.out, name)), name).toBe(true)
    const model = JSON.parse(readFileSync(join(of.out, 'report.json'), 'utf8'))
    expect([model.before.role, model.noise.role, model.after.role]).toEqual(['baseline', 'noise', 'candidate'])
    expect(model.state.tables.map(({ table, verdict }: Record<string, string>) => [table, verdict])).toEqual([
      ['accounts', 'equal'],
      ['moves', 'equal'],
    ])
    expect(model.vouching.fidelity).toMatchObject({ compared: model.compared, differ: 0, causes: [] })
    expect(model.vouching.audit).toMatchObject({ count: 0, hits: [] })
    // The recording, the snapshot, three runs, the diff.
    expect(model.vouching.audit.paths).toHaveLength(6)
    expect(model.vouching.audit.characters).toBeGreaterThan(10_000)
  })

  test('the second time nothing is', async () => {
    const before = await shadows.databases()
    const second = await finished(of.run('--json'))
    expect(second.code, second.err).toBe(0)
    expect(doing(second.steps)).toEqual([])
    expect(await shadows.databases()).toEqual(before)
  })

  test('--dry-run says what a changed migration would cost, and does nothing', async () => {
    writeFileSync(join(of.folder, 'v2.sql'), `UPDATE accounts SET owner = left(owner, 5);\n`)
    const [databases, kept] = [await shadows.databases(), readFileSync(join(of.out, 'state.json'), 'utf8')]
    const dry = await of.run('--dry-run').ended
    expect(dry.code).toBe(0)
    expect(dry.stdout).toMatch(/golden V2 +do +the migration of V2 changed/)
    expect(dry.stdout).toMatch(/baseline +reuse/)
    expect(dry.stdout).toMatch(/candidate +do +the golden of V2 changed/)
    expect(await shadows.databases()).toEqual(databases)
    expect(readFileSync(join(of.out, 'state.json'), 'utf8')).toBe(kept)
  })

  test('a changed migration makes anew what depends on it, and what it replaces is gone', async () => {
    const before = await shadows.databases()
    const changed = await finished(of.run('--json'))
    expect(changed.code, changed.err).toBe(1)
    expect(doing(changed.steps)).toEqual(['golden V2', 'candidate', 'compare', 'verify', 'audit'])
    const after = await shadows.databases()
    expect(after).toHaveLength(before.length)
    expect(after.filter((name) => !before.includes(name)).map((name) => name.replace(/_[0-9a-f]+$/, ''))).toEqual([
      'pgr_candidate',
      'pgr_v2',
    ])
    const junit = readFileSync(join(of.out, 'junit.xml'), 'utf8')
    expect(junit).toMatch(/<testcase classname="state" name="accounts"[^>]*>\s*<failure/)
  })

  test('a baseline counts only with its shadow', async () => {
    const shadow = (await shadows.databases()).find((name) => name.startsWith('pgr_baseline'))!
    await shadows.drop(shadow)
    const { steps } = await finished(of.run('--json'))
    expect(steps.find(({ step }) => step === 'baseline')?.why).toBe('its database is gone')
    expect(doing(steps)).toEqual(['baseline', 'fidelity', 'compare', 'verify', 'audit'])
    expect(steps.find(({ step }) => step === 'golden V1')?.action).toBe('reuse')
    expect(await shadows.databases()).toContain(shadow)
  })

  test('people read a list with times, the verdict and where the report is', async () => {
    const { stdout, code } = await of.run().ended
    expect(code).toBe(1)
    expect(stdout).toMatch(/^ {2}golden V1 +leave out +nothing needs it$/m)
    expect(stdout).toMatch(/^ {2}baseline +reuse +as of 20\d\d-/m)
    expect(stdout).toMatch(/^FAIL {2}V2 is not ready/m)
    expect(stdout).toContain(join(of.out, 'report.html'))
  })
})

describe('interrupted', () => {
  /** A migration that waits until it is let through, and says that it waits. */
  const WAITING = 'touch waiting; while [ ! -f through ]; do sleep 0.1; done'
  test.each(['SIGINT', 'SIGKILL'] as const)(
    'by %s in the middle of a step, the next run goes on there',
    async (signal) => {
      const name = `stopped-${signal.toLowerCase()}`
      const of = rehearsal(name)
      const script = `cd ${of.folder}; ${WAITING}`
      const file = JSON.parse(readFileSync(join(of.folder, 'pgrehearse.yaml'), 'utf8'))
      writeFileSync(
        join(of.folder, 'pgrehearse.yaml'),
        JSON.stringify({ ...file, v1: { migrate: 'v1.sql' }, v2: { migrate: script } }),
      )
      const stopped = of.run('--json')
      await expect.poll(() => existsSync(join(of.folder, 'waiting')), { timeout: 60_000 }).toBe(true)
      stopped.child.kill(signal)
      const ended = await stopped.ended
      expect(ended.code).toBe(signal === 'SIGINT' ? 130 : null)
      writeFileSync(join(of.folder, 'through'), '')
      const again = await finished(of.run('--json'))
      expect(again.code, again.err).toBe(0)
      expect(doing(again.steps)).toEqual(ALL.slice(1))
    },
  )

  /** So slow that it can be stopped in the middle; its place is seen in the shadow. */
  const SLOW = { max_rate: 30 }
  /** Waits until the candidate's replay has come some way, stops it there, and says on which shadow. */
  const stopHalfWay = async (of: ReturnType<typeof rehearsal>): Promise<string> => {
    const stopped = of.run('--json')
    const shadow = () => begunIn(of.out).find((name) => name.startsWith('pgr_candidate'))
    const moved = async () => (shadow() === undefined ? 0 : await shadows.count(shadow()!, 'moves'))
    await expect.poll(moved, { timeout: 120_000 }).toBeGreaterThan(3)
    stopped.child.kill('SIGINT')
    const ended = await stopped.ended
    expect([ended.code, ended.stderr]).toEqual([130, expect.stringContaining('The same command goes on from there.')])
    expect(await shadows.count(shadow()!, 'moves')).toBeLessThan(30)
    return shadow()!
  }

  test('by Ctrl-C in the middle of a replay: it goes on there, and the result is that of one go', async () => {
    const of = rehearsal('gone-on', { noise: false, v1: { migrate: 'v1.sql' }, candidate: SLOW })
    writeFileSync(join(of.folder, 'v2.sql'), 'UPDATE accounts SET owner = left(owner, 7);\n')
    const shadow = await stopHalfWay(of)
    const oid = await shadows.oid(shadow)
    expect((await of.run('--dry-run').ended).stdout).toMatch(/candidate +go on +it was interrupted/)

    const again = await finished(of.run('--json'))
    expect(again.code, again.err).toBe(1)
    expect(doing(again.steps)).toEqual(['fidelity', 'compare', 'verify', 'audit'])
    expect(again.steps.find(({ step }) => step === 'candidate')?.action).toBe('go on')
    expect(await shadows.oid(shadow)).toBe(oid)
    const inPieces = outcome(of.out)
    expect(inPieces.incidents).toEqual(['interrupted', 'resumed'])

    const whole = await finished(of.run('--fresh', '--json'))
    expect(whole.code, whole.err).toBe(1)
    const { incidents, ...inOneGo } = outcome(of.out)
    expect(incidents).toEqual([])
    expect(inPieces).toMatchObject(inOneGo)
    expect(inOneGo.findings.length).toBeGreaterThan(0)
    expect(inOneGo.compared).toBe(inOneGo.seen)
  }, 240_000)

  test('by Ctrl-C in the middle of a replay whose shadow is changed meanwhile: it is done over', async () => {
    const of = rehearsal('walked-over', { noise: false, v1: { migrate: 'v1.sql' }, candidate: SLOW })
    const shadow = await stopHalfWay(of)
    await shadows.change(shadow, 'UPDATE accounts SET balance = 0')
    const again = await finished(of.run('--json'))
    expect(again.code, again.err).toBe(0)
    expect(doing(again.steps)).toEqual(['candidate', 'fidelity', 'compare', 'verify', 'audit'])
    expect(outcome(of.out)).toMatchObject({ findings: [], incidents: [] })
  }, 240_000)

  test('by Ctrl-C in the middle of the candidate’s replay, and it is another one now: what was whole stays, the replay is done over', async () => {
    const of = rehearsal('stopped-replay', {
      v1: { migrate: 'v1.sql' },
      candidate: { inject: `50%:cd ${join(room, 'stopped-replay')} && touch waiting && exec sleep 300` },
    })
    const stopped = of.run('--json')
    await expect.poll(() => existsSync(join(of.folder, 'waiting')), { timeout: 60_000 }).toBe(true)
    stopped.child.kill('SIGINT')
    expect((await stopped.ended).code).toBe(130)
    const file = JSON.parse(readFileSync(join(of.folder, 'pgrehearse.yaml'), 'utf8'))
    writeFileSync(join(of.folder, 'pgrehearse.yaml'), JSON.stringify({ ...file, candidate: {} }))
    const given = begunIn(of.out)[0]!
    expect(await shadows.databases()).toContain(given)
    const again = await finished(of.run('--json'))
    expect(again.code, again.err).toBe(0)
    expect(await shadows.databases()).not.toContain(given)
    expect(readdirSync(of.out).filter((name) => /^candidate-.*\.run$/.test(name))).toHaveLength(1)
    expect(doing(again.steps)).toEqual(['candidate', 'fidelity', 'compare', 'verify', 'audit'])
    const diff = JSON.parse(readFileSync(join(of.out, 'report.json'), 'utf8'))
    expect(diff.compared).toBe(diff.before.ledger.seen.statements)
  })
})

describe('what it refuses', () => {
  const refused = async (file: object, ...more: string[]) => of(file).run(...more).ended
  let n = 0
  const of = (file: object) => rehearsal(`refused-${n++}`, file)

  test('an option that the command does not have, with its line', async () => {
    const { folder, run: go } = of({})
    writeFileSync(
      join(folder, 'pgrehearse.yaml'),
      'recording: ../recording\nsnapshot: ../snapshot\nreplay:\n  max-rate: 100\n  speeed: 1\n',
    )
    const ended = await go().ended
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain('line 4: max-rate is not a setting; did you mean max_rate?')
    expect(ended.stderr).toContain('line 5: speeed is not a setting; did you mean speed?')
  })

  test.each([
    { name: 'what run itself decides', file: { replay: { target: 'postgres://x' } }, says: 'target is not a setting' },
    { name: 'a value of another kind', file: { replay: { read_only: 'perhaps' } }, says: 'takes true or false' },
    { name: 'no recording', file: { recording: undefined }, says: 'recording: is needed' },
    { name: 'a variable that is not set', file: { server: `\${NOT_SET_HERE}` }, says: 'has no NOT_SET_HERE' },
    {
      name: 'one in a URL of the report',
      file: { report: { postgres: `\${NOT_SET_HERE}` } },
      says: 'has no NOT_SET_HERE',
    },
    { name: 'a snapshot that is not there', file: { snapshot: 'nowhere' }, says: 'nowhere' },
    { name: 'a migration that is not there', file: { v2: { migrate: 'absent.sql' } }, says: 'absent.sql' },
  ])('$name: exit 2', async ({ file, says }) => {
    const ended = await refused(file)
    expect([ended.code, ended.stdout]).toEqual([2, expect.not.stringContaining('PASS')])
    expect(ended.stderr).toContain(says)
  })

  test.each([
    { name: 'a speed', file: { replay: { speed: 'fast' } }, says: 'baseline: --speed' },
    { name: 'a moment of the candidate', file: { candidate: { from: 'noon' } }, says: 'candidate: --from' },
    { name: 'an injection that is not there', file: { candidate: { inject: '50%:absent.sql' } }, says: 'absent.sql' },
    { name: 'a load of verify', file: { verify: { load: 101 } }, says: 'verify: --load' },
    { name: 'what compare ignores', file: { compare: { ignore: 'moves.amount~lots' } }, says: 'lots' },
    { name: 'connections', file: { restore: { connections: 'many' } }, says: 'restore: --connections' },
    { name: 'a webhook', file: { report: { alerts: 'ftp://x' } }, says: 'report: --alerts' },
    { name: 'a table', file: { report: { postgres_table: 'a.b.c' } }, says: 'report: --postgres-table' },
    { name: 'a folder of the report', file: { report: { html: 'absent/page.html' } }, says: 'absent does not exist' },
    { name: 'a mapping', file: { v2: { migrate: 'v2.sql', mapping: 'v2.sql' } }, says: 'v2.sql' },
    { name: 'a gate', file: { gate: 'wrong.yaml' }, says: 'SQL_EROR is not a setting' },
    { name: 'a history of the gate', file: { gate: 'streak.yaml' }, says: 'streak.history.json' },
  ])('$name that cannot be read, before anything is done: exit 2', async ({ file, says }) => {
    const { folder, out, run: go } = of(file)
    writeFileSync(join(folder, 'wrong.yaml'), 'findings: {SQL_EROR: 1}\n')
    writeFileSync(join(folder, 'streak.yaml'), 'streak: {runs: 3}\n')
    writeFileSync(join(folder, 'streak.history.json'), '{')
    for (const how of [['--dry-run'], []]) {
      const ended = await go(...how).ended
      expect([ended.code, ended.stdout, ended.stderr]).toEqual([2, '', expect.stringContaining(says)])
    }
    expect(existsSync(out)).toBe(false)
  })

  test('a server that cannot be reached: exit 4', async () => {
    expect((await refused({ server: 'postgres://nobody@127.0.0.1:1/postgres' })).code).toBe(4)
  })

  test('a folder that another run works in', async () => {
    const { out, run: go } = of({})
    mkdirSync(out)
    writeFileSync(join(out, 'run.lock'), `${process.pid}\n`)
    const ended = await go().ended
    expect(ended.code).toBe(4)
    expect(ended.stderr).toContain(`process ${process.pid} holds`)
  })

  test('no file: says how to get one', async () => {
    const ended = await run('run', '-c', join(room, 'absent.yaml'))
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain('pgrehearse init')
  })
})

test('what is injected is found beside the file, and its outcome is on the page', async () => {
  const of = rehearsal('injected', { noise: false, candidate: { inject: ['50%:v7.sql'] } })
  writeFileSync(join(of.folder, 'v7.sql'), 'CREATE INDEX ON moves (account);')
  await finished(of.run('--json'))
  const model = JSON.parse(readFileSync(join(of.out, 'report.json'), 'utf8'))
  expect(model.after.conditions.injections).toMatchObject([{ at: '50%', outcome: 'done' }])
  expect(model.before.conditions.injections ?? []).toEqual([])
})

test('a golden of the same key is shared, whoever made it', async () => {
  const { steps } = await finished(
    rehearsal('shared', { verify: false, noise: false, fidelity: false, audit: false }).run('--json'),
  )
  expect(doing(steps)).toEqual(['golden V2', 'baseline', 'candidate', 'compare'])
})

test('a measurement that the gate does not believe is exit 3', async () => {
  const of = rehearsal('unverified', {
    v1: { migrate: 'v1.sql' },
    verify: false,
    noise: false,
    fidelity: false,
    audit: false,
  })
  writeFileSync(join(of.folder, 'gate.yaml'), 'state: {required: true}\n')
  const ended = await finished(of.run('--json'))
  expect(ended.code).toBe(3)
  expect(doing(ended.steps)).toEqual(['golden V1', 'golden V2', 'baseline', 'candidate', 'compare'])
})

describe('the look for leaks', () => {
  test('is at the snapshot too: what stands there is told, with its file', async () => {
    cpSync(join(room, 'snapshot'), join(room, 'leaky'), { recursive: true })
    writeFileSync(join(room, 'leaky', 'notes.txt'), 'ask bob.brown@corp.example.com\n')
    const { out, run: go } = rehearsal('leaks', { snapshot: '../leaky', noise: false, fidelity: false, verify: false })
    const { stdout, stderr } = await go('--json').ended
    expect(stdout, stderr).not.toBe('')
    const name = readdirSync(out).find((file) => /^rehearsal-.*\.diff$/.test(file))!
    const diff = openDiff(join(out, name))
    const { audit } = diff.vouching()
    diff.close()
    expect(audit!.count).toBe(1)
    expect(audit!.hits).toMatchObject([{ file: expect.stringMatching(/leaky\/notes\.txt$/), what: 'email' }])
    expect(JSON.stringify(audit)).not.toContain('brown')
  })
})
