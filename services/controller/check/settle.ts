import { clone, create } from "@bufbuild/protobuf";
import { needsScore, resolveRun } from "../../shared/flow/runs/resolve.js";
import { ObjectiveSpecSchema, RunSpecSchema, type RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { CheckedRun } from "./checked-run.js";
import { commonRows, sharing } from "./vocabulary.js";

/** Up to this vocabulary a whole distribution is small (1 KiB per token), and the learner need not load the teacher's head. */
const largestFull = 256;

/**
 * A run with what follows from its models in its spec, where every role reads it: how many rows of the vocabulary its
 * distributions range over, where the models do not all have as many, and the signal of every phase that leaves it open:
 * `full`, or `hidden` beyond a vocabulary of {@link largestFull}. Both give every objective exactly. Of a teacher's server, how it
 * is asked and how many classes it gives.
 */
export function settled(checked: CheckedRun): CheckedRun {
  const { spec: given, run, student, teachers } = checked;
  const { student: own, data } = given;
  const spec: RunSpecValid = Object.assign(clone(RunSpecSchema, given), { student: own, data });
  const models = sharing([student, ...teachers]);
  const rows = commonRows(spec, models);
  if (models.some((model) => model.rows !== rows)) spec.vocabSize = rows;
  for (const [i, { offer }] of teachers.entries()) {
    const server = spec.teachers[i]?.server;
    if (server && offer) Object.assign(server, { dialect: offer.dialect, maxLogprobs: offer.largestK });
  }
  if (teachers.length)
    for (const [i, phase] of spec.phases.entries()) {
      const { objective } = run.phases[i]!;
      // What a preset asks for is unlike the default, or the default itself.
      if (phase.objective?.signal || objective.signal !== "full" || !needsScore(objective)) continue;
      phase.objective ??= create(ObjectiveSpecSchema);
      phase.objective.signal = rows > largestFull ? "hidden" : "full";
    }
  return { ...checked, spec, run: resolveRun(spec) };
}
