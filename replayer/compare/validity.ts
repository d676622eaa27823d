/**
 * Can the harness vouch for its own measurement? Every reason it cannot makes the verdict INVALID.
 */
import { imbalance, sum } from '../../segment/ledger.js'
import type { RunFacts } from '../../segment/run.js'

/** A worker this busy is late by itself. */
const UTILISATION_MAX = 0.98
/** Of all statements. */
const RELAXED_SHARE_MAX = 0.001
const RELAXED_MIN = 10
const LOST_SHARE_MAX = 0.01

export function invalidReasons(before: RunFacts, after: RunFacts, compared: number): readonly string[] {
  const reasons = [...ofRun('first', before), ...ofRun('second', after)]
  if (compared === 0) reasons.push('no statement has an answer in both runs')
  if (before.snapshotId !== null && after.snapshotId !== null && before.snapshotId !== after.snapshotId)
    reasons.push('the runs began from different snapshots')
  return reasons
}

function ofRun(which: string, facts: RunFacts): string[] {
  const { ledger, role, settings } = facts
  const name = `the ${which} run (${role})`
  const rest = imbalance(ledger)
  const reasons: string[] = []
  if (rest.statements !== 0 || rest.transactions !== 0)
    reasons.push(
      `the ledger of ${name} does not balance: ${rest.statements} statements and ${rest.transactions} transactions are not accounted for`,
    )
  // What production's recorder lost was never promised; a replay that loses statements measured something else.
  const lost = role === 'production' ? 0 : sum(ledger.lost).statements
  if (lost > ledger.seen.statements * LOST_SHARE_MAX)
    reasons.push(`${name} lost ${lost} of ${ledger.seen.statements} statements`)
  if (settings.speed !== 'max' && facts.bottleneck !== undefined)
    reasons.push(`${name} was held up by the harness: ${facts.bottleneck}`)
  else if (settings.speed !== 'max' && facts.eventLoopUtilisationMax > UTILISATION_MAX)
    reasons.push(
      `${name} was held up by the harness: a worker was busy ${Math.round(facts.eventLoopUtilisationMax * 100)} % of the time`,
    )
  if (facts.orderRelaxed > Math.max(RELAXED_MIN, ledger.kept.statements * RELAXED_SHARE_MAX))
    reasons.push(`${name} gave up the order of ${facts.orderRelaxed} statements to end standstills`)
  return reasons
}
