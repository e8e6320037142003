import type { WorkerClient } from "../../shared/base/workers.js";
import { mixedModels } from "../../shared/flow/runs/ensembles.js";
import { needsScore, type ResolvedRun } from "../../shared/flow/runs/resolve.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { signals } from "../../shared/ml/signals/table.js";
import type { TrainHost } from "./train-host.js";

/**
 * Loads the heads of all teachers if some phase's teachers send hidden states; returns the widest state's size, 0 if none does.
 * A score names its head by digest, so that states of other weights are refused before they are trained on.
 */
export async function loadHeads(host: WorkerClient<TrainHost>, { teachers }: RunSpec, { phases }: ResolvedRun): Promise<number> {
  if (!phases.some(({ objective }) => needsScore(objective) && signals[objective.signal].needsHead)) return 0;
  const heads = await Promise.all(teachers.map((teacher) => host.addHead(mixedModels(teacher))));
  return Math.max(...heads.map(({ hiddenSize }) => hiddenSize));
}
