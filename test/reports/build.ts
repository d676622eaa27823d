/** From a sample to the model and the page, as the commands do it. */
import { buildModel, judgeDiff } from '../../reports/build-model.js'
import { DEFAULT_GATE, type GateConfig } from '../../reports/gate-config.js'
import type { ReportModel } from '../../reports/model.js'
import { renderPage } from '../../reports/page/page.js'
import type { DiffSource } from '../../reports/source.js'
import { type SampleOptions, sample } from './sample.js'

export const NOW_MS = Date.UTC(2026, 10, 20, 20)

export function modelOf(source: DiffSource, config: GateConfig = DEFAULT_GATE): ReportModel {
  const { facts, gate } = judgeDiff(source, config, NOW_MS)
  return buildModel(source, facts, gate, 'out/shop.diff')
}

export function pageOf(options: SampleOptions): string {
  const source = sample(options)
  return renderPage(modelOf(source), (findingId) => source.discrepancies({ findingId })).join('')
}
