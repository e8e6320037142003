import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ValidateRunResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkRun } from "./inspector.js";
import type { RunPlace } from "./run-place.js";

/** ValidateRun's answer: everything that is wrong with a spec, or unusual. */
export async function validateRun(
  spec: RunSpec | undefined,
  place: RunPlace | undefined,
): Promise<MessageInitShape<typeof ValidateRunResponseSchema>> {
  const verdict = await checkRun(spec ?? create(RunSpecSchema), place);
  if ("spec" in verdict) return { problems: [], warnings: [...verdict.warnings] };
  return { problems: verdict.problems.map(({ fieldPath, description }) => ({ field: fieldPath, message: description })), warnings: [] };
}
