import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { RootSettings } from "../../shared/flow/runs/paths.js";
import type { ValidateRunResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkRun } from "./inspector.js";

/** ValidateRun's answer: everything that is wrong with a spec, or unusual. @param roots where its paths may lead */
export async function validateRun(
  spec: RunSpec | undefined,
  roots: RootSettings | undefined,
): Promise<MessageInitShape<typeof ValidateRunResponseSchema>> {
  const verdict = await checkRun(spec ?? create(RunSpecSchema), roots);
  if ("spec" in verdict) return { problems: [], warnings: [...verdict.warnings] };
  return { problems: verdict.problems.map(({ fieldPath, description }) => ({ field: fieldPath, message: description })), warnings: [] };
}
