import type { WorkerClient } from "../../shared/base/workers.js";
import { needsHeads } from "../../shared/codec/signal-spec.js";
import { mixedModels } from "../../shared/flow/runs/ensembles.js";
import { followedVersion, newestFollowed } from "../../shared/flow/runs/follow.js";
import { type ResolvedRun, teacherName } from "../../shared/flow/runs/resolve.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { StudentDescription, TrainHost } from "./train-host.js";

/**
 * Loads the heads of the teachers that stay as they are if some phase's teachers send hidden states; returns the widest state's size, 0 if
 * none does. A score names its head by digest, so that states of other weights are refused before they are trained on.
 *
 * @param student whose states are those of teachers that follow it
 */
export async function loadHeads(
  host: WorkerClient<TrainHost>,
  { teachers }: RunSpec,
  { phases, follow }: ResolvedRun,
  student: Pick<StudentDescription, "hiddenSize">,
): Promise<number> {
  if (!needsHeads(phases)) return 0;
  const fixed = teachers.filter(({ name }) => !follow?.teachers.includes(teacherName(name)));
  const heads = await Promise.all(fixed.map((teacher) => host.addHead(mixedModels(teacher))));
  return Math.max(follow ? student.hiddenSize : 0, ...heads.map(({ hiddenSize }) => hiddenSize));
}

/**
 * Keeps the head of a version that teachers follow, if they will have it and send hidden states. Heads of versions that no step asks for
 * any more are dropped.
 *
 * @param version that the model has, or that a directory of weights has
 */
export async function keepHead(
  host: WorkerClient<TrainHost>,
  { phases, follow, maxStaleness }: ResolvedRun,
  version: number,
  directory?: string,
): Promise<void> {
  if (!follow || !needsHeads(phases) || newestFollowed(follow, version) !== version) return;
  const oldest = followedVersion(follow, { step: version + 1, maxStaleness, fromStep: 0 });
  await host.keepHead(version, oldest, directory);
}
