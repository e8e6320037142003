import { RetortError } from "../../base/errors.js";

/** What a loss is multiplied with, so that its gradients are within what float16 can hold. */
export interface LossScale {
  /** A power of 2: multiplying and dividing by it rounds nothing. */
  readonly scale: number;
  /** Updates in a row that were made with it. */
  readonly updates: number;
}

/** Updates in a row after which a scale is doubled; this and the first scale are those of torch.amp.GradScaler. */
const growthInterval = 2000;

/** Scales, the largest so that its square is a float32. */
const [smallest, largest] = [1, 2 ** 60];

/** The scale that training begins with. */
export const firstLossScale: LossScale = { scale: 2 ** 16, updates: 0 };

/** The scale after an update that was made: doubled where it has held for long enough. */
export function grownLossScale({ scale, updates }: LossScale): LossScale {
  if (updates + 1 < growthInterval) return { scale, updates: updates + 1 };
  return { scale: Math.min(2 * scale, largest), updates: 0 };
}

/** The scale after a gradient that overflowed: half of it. @throws DataLoss where there is none below */
export function halvedLossScale({ scale }: LossScale): LossScale {
  if (scale > smallest) return { scale: scale / 2, updates: 0 };
  throw new RetortError(
    "DataLoss",
    "the gradient overflows float16 even where the loss isn't scaled: the step was not applied; take optimizer.computeDtype bfloat16 or float32, or lower the learning rate",
  );
}

/**
 * A step's gradients, at a scale at which they don't overflow: where they do, they are computed again at half of it, so that no batch is
 * passed over. The scale goes into the state, as it is to be at the next step.
 *
 * @param isScaled else the loss isn't multiplied with anything
 * @param compute computes the gradients; gives the norm that they have at that scale, and the loss
 * @returns what was computed at last, with the norm of the gradients themselves, and the scale that they are still multiplied with
 * @throws DataLoss where they overflow at every scale
 */
export async function scaledGradients<T extends { readonly loss: number }>(
  state: { lossScale: LossScale | undefined },
  isScaled: boolean,
  compute: (scale: number | undefined) => Promise<{ readonly stats: T; readonly norm: number }>,
): Promise<{ readonly stats: T; readonly norm: number; readonly scale: number }> {
  if (!isScaled) return { ...(await compute(undefined)), scale: 1 };
  for (let tried = state.lossScale ?? firstLossScale; ; tried = halvedLossScale(tried)) {
    const { scale } = tried;
    const { stats, norm } = await compute(scale);
    // A loss that isn't finite is none the better for another scale.
    if (!Number.isFinite(norm) && Number.isFinite(stats.loss)) continue;
    if (Number.isFinite(norm) && Number.isFinite(stats.loss)) state.lossScale = grownLossScale(tried);
    return { stats, norm: norm / scale, scale };
  }
}
