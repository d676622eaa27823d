/**
 * Reports, as an application may use them: the model, the gate, and every form in which the model is written down.
 */
export { buildModel, judgeDiff, recordingClock } from './build-model.js'
export { type GateFacts, type GateLine, type GateResult, judge, type OverrideUse, type Verdict } from './gate.js'
export { DEFAULT_GATE, type GateConfig, parseGateConfig } from './gate-config.js'
export { toJunit } from './junit.js'
export { toMarkdown } from './markdown.js'
export { type Example, REPORT_FORMAT_VERSION, type ReportFinding, type ReportModel } from './model.js'
export { renderPage } from './page/page.js'
export { toPrometheus } from './prometheus.js'
export { needsExplaining, quantity } from './quantity.js'
export type { DiffSource } from './source.js'
export { csvLines, findingsTable } from './table.js'
export { checkTargets, type Targets, type WrittenFile, writeReport } from './write.js'
