/**
 * Reads `manifest.json`: what is not a recording, too new or torn is refused here, before anything else is opened.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { EXIT, HarnessError } from '../base/errors.js'
import { type Manifest, RECORDING_FORMAT_VERSION } from './manifest.js'

export const MANIFEST_FILE = 'manifest.json'
export const SEGMENTS_FOLDER = 'segments'

const count = z.object({ statements: z.number(), transactions: z.number() })
const reasons = z.record(z.string(), count)

/** Only what readers rely on without asking again; the catalog is large and was written by us. */
const shape = z.looseObject({
  id: z.string().min(1),
  madeBy: z.string(),
  source: z.enum(['proxy', 'tap', 'logs', 'driver', 'cdc']),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  server: z.looseObject({ versionNum: z.number(), version: z.string(), database: z.string() }),
  catalog: z.looseObject({ relations: z.array(z.unknown()), types: z.array(z.unknown()) }),
  privacy: z.looseObject({ policyHash: z.string(), keyFingerprint: z.string() }),
  ledger: z.object({ seen: count, kept: count, filtered: reasons, skipped: reasons, lost: reasons }),
  segments: z.array(
    z.object({
      // A name in the recording's own folder: a manifest from elsewhere must not lead us out of it.
      file: z.string().regex(/^segments\/[0-9]{6,}\.sqlite$/),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      bytes: z.number(),
      statements: z.number(),
      seqFirst: z.number(),
      seqLast: z.number(),
      sentUsFirst: z.number(),
      doneUsLast: z.number(),
    }),
  ),
  incidents: z.array(z.object({ atUs: z.number(), kind: z.string(), detail: z.string() })),
})

export function readManifest(path: string): Manifest {
  if (!existsSync(path)) {
    throw new HarnessError({
      code: 'RECORDING_MISSING',
      message: `there is no recording at ${path}`,
      hint: 'Check the path; a recording is the folder that `pgrehearse record … --out` made.',
      exit: EXIT.usage,
    })
  }
  const file = join(path, MANIFEST_FILE)
  if (!statSync(path).isDirectory() || !existsSync(file)) throw notARecording(path, 'it has no manifest.json')
  let raw: unknown
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw damagedManifest(path, 'it is not readable JSON', error)
  }
  const head = z.looseObject({ format: z.literal('pgrehearse recording'), formatVersion: z.number() }).safeParse(raw)
  if (!head.success) throw notARecording(path, 'its manifest.json belongs to something else')
  if (head.data.formatVersion > RECORDING_FORMAT_VERSION) {
    throw new HarnessError({
      code: 'RECORDING_TOO_NEW',
      message: `cannot read recording ${path}`,
      detail: `it has format ${head.data.formatVersion}; this build reads up to ${RECORDING_FORMAT_VERSION}.`,
      hint: 'Upgrade pgrehearse, or record again with the version that will replay.',
      exit: EXIT.usage,
    })
  }
  const parsed = shape.safeParse(raw)
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') ?? ''
    throw damagedManifest(path, `its field ${at} is not as it was written`, parsed.error)
  }
  return raw as Manifest
}

function notARecording(path: string, why: string): HarnessError {
  return new HarnessError({
    code: 'NOT_A_RECORDING',
    message: `${path} is not a recording`,
    detail: `${why}.`,
    hint: 'A recording is the folder that `pgrehearse record … --out` made.',
    exit: EXIT.usage,
  })
}

function damagedManifest(path: string, why: string, cause: unknown): HarnessError {
  return new HarnessError({
    code: 'RECORDING_DAMAGED',
    message: `the manifest of recording ${path} is damaged`,
    detail: `${why}.`,
    hint: 'Copy the recording again from where it was made.',
    cause,
  })
}
