/** How near a replay is to production, from the diff of the recording and that replay. */
import { EXIT, HarnessError } from '../base/errors.js'
import { openDiff } from '../segment/diff-file.js'
import type { RunSource } from '../segment/run-source.js'
import type { Fidelity } from '../segment/vouching.js'

const CAUSES_NAMED = 8

/** `path`: a diff whose first run is production's and whose second is `run`. */
export function fidelityOf(path: string, run: RunSource): Fidelity {
  const diff = openDiff(path)
  try {
    const { before, after, createdAtMs, compared, discrepancies, excused, uncompared } = diff.facts
    if (before.role !== 'production' || after.id !== run.facts.id) throw another(path)
    // Production is another machine: how long it took is no matter of fidelity.
    const causes = diff.findings().filter(({ mismatch }) => mismatch !== 'LATENCY_SPIKE')
    return {
      comparedAtMs: createdAtMs,
      compared,
      differ: discrepancies,
      excused,
      uncompared,
      causes: [...causes]
        .sort((a, b) => b.count - a.count)
        .slice(0, CAUSES_NAMED)
        .map(({ cause, mismatch, subKind, count }) => ({ cause, mismatch, subKind, count })),
      more: Math.max(0, causes.length - CAUSES_NAMED),
    }
  } finally {
    diff.close()
  }
}

function another(path: string): HarnessError {
  return new HarnessError({
    code: 'FIDELITY_OF_ANOTHER',
    message: `cannot take the fidelity from ${path}`,
    detail: 'it does not compare the recording with the first run.',
    hint: 'Make it with `pgrehearse compare RECORDING RUN_A --out …`.',
    exit: EXIT.usage,
  })
}
