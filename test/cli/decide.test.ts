/** Which steps of a rehearsal are done again: plain decisions on plain data. */
import { expect, test } from 'vitest'
import { decide } from '../../cli/run/decide.js'
import type { Kept } from '../../cli/run/kept.js'
import type { Keyed, Keys, StepName } from '../../cli/run/keys.js'

const STEPS: StepName[] = [
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
const keyed = (key: string): Keyed => ({ key, parts: { 'the version of pgrehearse': key } })
const KEYS = Object.fromEntries(STEPS.map((step) => [step, keyed('1')])) as unknown as Keys
const KEPT: Kept = {
  steps: Object.fromEntries(STEPS.map((step) => [step, { ...keyed('1'), finishedAtMs: 0, elapsedMs: 1 }])),
  begun: [],
}
const WANTED = { noise: true, fidelity: true, verify: true, audit: true, fresh: false }
const ALL = { database: true, file: true }

const cases: {
  name: string
  gone?: [StepName, Partial<typeof ALL>]
  stopped?: StepName
  kept?: Kept
  wanted?: object
  goesOn?: StepName[]
  does: StepName[]
}[] = [
  { name: 'all is there: nothing', does: [] },
  { name: 'nothing is kept: all but goldens of the right name', kept: { steps: {}, begun: [] }, does: STEPS.slice(2) },
  {
    name: 'the baseline lost its shadow',
    gone: ['baseline', { database: false }],
    does: ['baseline', 'fidelity', 'compare', 'verify', 'audit'],
  },
  {
    name: 'the baseline lost its run',
    gone: ['baseline', { file: false }],
    does: ['baseline', 'fidelity', 'compare', 'verify', 'audit'],
  },
  { name: 'the noise run needs no shadow', gone: ['noise', { database: false }], does: [] },
  { name: 'a golden that nothing needs may be gone', gone: ['golden V1', { database: false }], does: [] },
  { name: 'the diff is gone', gone: ['compare', { file: false }], does: ['compare', 'verify', 'audit'] },
  {
    name: 'the fidelity is gone',
    gone: ['fidelity', { file: false }],
    does: ['fidelity', 'compare', 'verify', 'audit'],
  },
  {
    name: 'a replay that was interrupted goes on, without its golden, and what rests on it is made anew',
    kept: { steps: { baseline: KEPT.steps.baseline!, noise: KEPT.steps.noise! }, begun: [] },
    gone: ['golden V2', { database: false }],
    stopped: 'candidate',
    goesOn: ['candidate'],
    does: ['fidelity', 'compare', 'verify', 'audit'],
  },
  {
    name: 'an interrupted noise run too',
    kept: { steps: { baseline: KEPT.steps.baseline!, candidate: KEPT.steps.candidate! }, begun: [] },
    stopped: 'noise',
    goesOn: ['noise'],
    does: ['fidelity', 'compare', 'verify', 'audit'],
  },
  {
    name: '--fresh goes on with nothing',
    stopped: 'candidate',
    wanted: { fresh: true },
    does: STEPS,
  },
  { name: '--fresh: everything', wanted: { fresh: true }, does: STEPS },
  {
    name: 'only what is needed for a verdict on answers',
    kept: { steps: {}, begun: [] },
    wanted: { noise: false, fidelity: false, verify: false, audit: false },
    does: ['baseline', 'candidate', 'compare'],
  },
]
test.each(cases)('$name', ({ gone, stopped, kept = KEPT, wanted = {}, goesOn = [], does }) => {
  const present = (step: StepName) => ({ ...ALL, ...(gone?.[0] === step ? gone[1] : {}), stopped: step === stopped })
  const decisions = decide(KEYS, kept, present, { ...WANTED, ...wanted })
  expect(decisions.map(({ step }) => step)).toEqual(STEPS)
  expect(decisions.filter(({ action }) => action === 'do').map(({ step }) => step)).toEqual(does)
  expect(decisions.filter(({ action }) => action === 'go on').map(({ step }) => step)).toEqual(goesOn)
})
