/** What the sessions of a drain have learnt of what repeats, and share. */
import type { Masker } from '../../privacy/masker.js'
import { ResultShapes } from './result-shapes.js'
import { SafeFrames } from './safe-frames.js'

export class Known {
  readonly results: ResultShapes
  readonly frames: SafeFrames

  constructor(masker: Masker) {
    this.results = new ResultShapes(masker)
    this.frames = new SafeFrames(masker)
  }
}
