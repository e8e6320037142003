import { create } from "@bufbuild/protobuf";
import { needsScore, resolveRun } from "../../shared/flow/runs/resolve.js";
import { ObjectiveSpecSchema, type RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** Up to this vocabulary a whole distribution is small (1 KiB per token), and the learner need not load the teacher's head. */
const largestFull = 256;

/**
 * Names the signal of every phase that leaves it open: `full`, or `hidden` beyond a vocabulary of {@link largestFull}. Both
 * give every objective exactly.
 *
 * @param vocabSize the teachers' vocabulary
 */
export function chooseSignals(spec: RunSpec, vocabSize: number): void {
  const { phases } = resolveRun(spec);
  spec.phases.forEach((phase, i) => {
    const { objective } = phases[i]!;
    // What a preset asks for is unlike the default, or the default itself.
    if (phase.objective?.signal || objective.signal !== "full" || !needsScore(objective)) return;
    phase.objective ??= create(ObjectiveSpecSchema);
    phase.objective.signal = vocabSize > largestFull ? "hidden" : "full";
  });
}
