import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ValidateRunResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkReferring, type FindReference, noReferences } from "./references.js";
import type { RunPlace } from "./run-place.js";

/** ValidateRun's answer: everything that is wrong with a spec, or unusual, and what the run is expected to take. @param find knows what it refers to */
export async function validateRun(
  spec: RunSpec | undefined,
  place: RunPlace | undefined,
  find: FindReference = noReferences,
): Promise<MessageInitShape<typeof ValidateRunResponseSchema>> {
  const verdict = await checkReferring(spec ?? create(RunSpecSchema), place, find);
  if ("spec" in verdict) return { problems: [], warnings: [...verdict.warnings], estimate: verdict.estimate };
  return { problems: verdict.problems.map(({ fieldPath, description }) => ({ field: fieldPath, message: description })), warnings: [] };
}
