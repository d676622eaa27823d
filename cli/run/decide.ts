/**
 * Which steps of a rehearsal have to be done, and why. Pure: keys, what is remembered and what is there, in; decisions, out.
 *
 * A replay's result is kept only while its run and its shadow are both there: comparing tables needs the shadow. One that was stopped
 * goes on where it came to rest, while its shadow is as it left it. A golden is made only for a replay that begins.
 */
import type { Kept } from './kept.js'
import { changedParts, type Keys, type StepName } from './keys.js'

export type Decision = {
  readonly step: StepName
  readonly action: 'do' | 'go on' | 'reuse' | 'leave out'
  readonly why: string
}

export type Wanted = {
  readonly noise: boolean
  readonly fidelity: boolean
  readonly verify: boolean
  readonly audit: boolean
  readonly fresh: boolean
}

/** Is what this step made still there? `stopped`: a replay, and what is there is a part of it that can be gone on with. */
export type Present = (step: StepName) => {
  readonly database: boolean
  readonly file: boolean
  readonly stopped?: boolean
}

export function decide(keys: Keys, kept: Kept, present: Present, wanted: Wanted): Decision[] {
  const done = new Map<StepName, Decision>()
  const begins = (step: StepName) => done.get(step)?.action === 'do'
  const isDone = (step: StepName) => begins(step) || done.get(step)?.action === 'go on'
  const set = (step: StepName, action: Decision['action'], why: string) => done.set(step, { step, action, why })
  const own = (step: StepName, needs: { database: boolean; file: boolean }) => {
    const [action, why] = ownReason(step, keys, kept, present(step), needs, wanted.fresh)
    set(step, action, why)
  }
  /** A step that only makes a file, where it is wanted. */
  const file = (step: 'noise' | 'fidelity' | 'verify' | 'audit', causes: readonly StepName[]) => {
    if (!wanted[step]) return void set(step, 'leave out', 'not wanted')
    own(step, { database: false, file: true })
    after(step, causes)
  }
  own('baseline', { database: true, file: true })
  file('noise', [])
  own('candidate', { database: true, file: true })
  file('fidelity', ['baseline'])
  own('compare', { database: false, file: true })
  after('compare', ['baseline', 'noise', 'candidate', 'fidelity'])
  file('verify', ['compare'])
  file('audit', ['compare'])
  golden('golden V1', ['baseline', 'noise'])
  golden('golden V2', ['candidate'])
  return ORDER.map((step) => done.get(step)!)

  function after(step: StepName, causes: readonly StepName[]): void {
    const cause = causes.find(isDone)
    if (!isDone(step) && cause !== undefined) set(step, 'do', `${WORDS[cause]} is made anew`)
  }

  function golden(step: StepName, users: readonly StepName[]): void {
    if (!users.some(begins)) return void set(step, 'leave out', 'nothing needs it')
    // Its name holds its key, so one that is there is the right one, whoever made it.
    if (!wanted.fresh && present(step).database) return void set(step, 'reuse', 'it is there')
    own(step, { database: true, file: false })
  }
}

const ORDER: readonly StepName[] = [
  'golden V1',
  'golden V2',
  'baseline',
  'noise',
  'candidate',
  'fidelity',
  'compare',
  'verify',
  'audit',
]

const WORDS: Readonly<Record<StepName, string>> = {
  'golden V1': 'the golden of V1',
  'golden V2': 'the golden of V2',
  baseline: 'the baseline',
  noise: 'the noise run',
  candidate: 'the candidate',
  fidelity: 'the fidelity',
  compare: 'the comparison',
  verify: 'the table state',
  audit: 'the look for leaks',
}

function ownReason(
  step: StepName,
  keys: Keys,
  kept: Kept,
  present: ReturnType<Present>,
  needs: { readonly database: boolean; readonly file: boolean },
  fresh: boolean,
): [Decision['action'], string] {
  const before = kept.steps[step]
  if (fresh) return ['do', 'everything is made anew']
  // What stands under a step's name has its key in it, so it is a part of this one and of no other.
  if (present.stopped === true) return ['go on', 'it was interrupted, and its shadow is as it was left']
  if (before === undefined) return ['do', 'not done yet']
  const { key, parts } = keys[step]
  if (before.key !== key) return ['do', `${changedParts(before.parts, parts).join(', ')} changed`]
  if (needs.file && !present.file) return ['do', 'its file is gone']
  if (needs.database && !present.database) return ['do', 'its database is gone']
  return ['reuse', `as of ${new Date(before.finishedAtMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`]
}
