/**
 * The snapshot wears the same masks as the recording: the tokens of its policy and key, over COPY data.
 */
import { type Key, keyFingerprint } from '../../../privacy/key.js'
import { createMasker } from '../../../privacy/masker.js'
import { type Policy, policyHash } from '../../../privacy/policy/policy.js'
import type { Catalog } from '../../../segment/catalog.js'
import type { PrivacyFacts } from '../../../segment/manifest.js'
import type { LineMask } from './copy-out.js'

/** What a thread can be given, to make its own masks. */
export type MaskSettings = { readonly policy: Policy; readonly key: Key }

export type SnapshotMasks = {
  readonly privacy: PrivacyFacts
  forTable(tableOid: number, columns: readonly { readonly name: string; readonly attnum: number }[]): LineMask
}

export function privacyFacts({ policy, key }: MaskSettings): PrivacyFacts {
  return { policyHash: policyHash(policy), keyFingerprint: keyFingerprint(key) }
}

export async function createMasks(settings: MaskSettings, catalog: Catalog): Promise<SnapshotMasks> {
  const masker = await createMasker({ ...settings, catalog })
  return {
    privacy: privacyFacts(settings),
    forTable: (tableOid, columns) =>
      masker.copyLine(
        tableOid,
        columns.map(({ attnum }) => attnum),
      ),
  }
}
