import { RetortError } from "../../shared/base/errors.js";
import type { Log } from "../../shared/base/log.js";
import { publishEvent } from "../../shared/flow/runs/events.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import type { StepStats } from "../../shared/ml/training/stats.js";

/** Mean mismatch KL per token, in nats, beyond which sampler and learner of one version are not the same model. Rounding alone makes 1e-5 in float32, and 1e-3 where products are bfloat16. */
const largestMismatch = 0.01;

interface Alarm {
  readonly kind: string;
  readonly message: string;
}

type Figures = Pick<StepStats, "loss" | "gradientNorm" | "mismatchKl">;

/** What is wrong with the training itself, each kind said once until it is over. */
export class Alarms {
  readonly #synchronous: boolean;
  readonly #active = new Set<string>();

  /** @param synchronous what is trained on was sampled by the very version that is trained (maxStaleness 0) */
  constructor(synchronous: boolean) {
    this.#synchronous = synchronous;
  }

  /** The alarms that begin with this step. */
  of(step: number, figures: Figures): Alarm[] {
    const found = alarmsIn(step, figures, this.#synchronous);
    const fresh = found.filter(({ kind }) => !this.#active.has(kind));
    this.#active.clear();
    for (const { kind } of found) this.#active.add(kind);
    return fresh;
  }
}

function alarmsIn(step: number, { loss, gradientNorm, mismatchKl }: Figures, synchronous: boolean): Alarm[] {
  const alarms: Alarm[] = [];
  for (const [kind, value] of [
    ["loss", loss],
    ["gradient-norm", gradientNorm],
  ] as const)
    if (!Number.isFinite(value)) alarms.push({ kind, message: `step ${step}: the ${kind.replace("-", " ")} is ${value}` });
  if (!Number.isFinite(mismatchKl))
    alarms.push({
      kind: "mismatch-not-finite",
      message: `step ${step}: the mismatch KL is ${mismatchKl}: to the learner some sampled tokens are all but impossible; do students and learner run the same version, device and settings?`,
    });
  else if (synchronous && mismatchKl > largestMismatch)
    alarms.push({
      kind: "mismatch",
      message: `step ${step}: the mismatch KL is ${mismatchKl.toPrecision(3)} nats per token, and the run is synchronous, where it is 0 but for rounding: students sample from another distribution than the learner trains; compare their versions, devices and weights`,
    });
  return alarms;
}

/** Reports an alarm in the run's events, and in the log. `id` names the alarm within the run. */
export async function publishAlarm({ membership, log }: { membership: Membership; log: Log }, id: string, message: string): Promise<void> {
  log.error({ alarm: id }, message);
  await publishEvent(membership.streams, membership.runId, { case: "warning", value: { message, alarm: true } }, `alarm/${id}`);
}

/**
 * A step that failed ends the run. Where its loss or gradient was not finite it was not applied, and that is an alarm: the
 * weights are those of the step before, and no checkpoint is written over an earlier one; to go on would only repeat it.
 *
 * @throws what was thrown, with the step before its message
 */
export async function endOf(step: number, thrown: unknown, alarm: (id: string, message: string) => Promise<void>): Promise<never> {
  const { code, message, retry, fieldPath } = RetortError.from(thrown);
  const why = `step ${step}: ${message}`;
  if (code === "DataLoss") await alarm(`stopped/${step}`, why);
  throw new RetortError(code, why, { retry, cause: thrown, ...(fieldPath ? { fieldPath } : {}) });
}
