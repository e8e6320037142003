import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { RootSettings } from "../../shared/flow/runs/paths.js";
import type { ValidateRunResponseSchema } from "../../shared/gen/retort/v1/controller_pb.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkReferring, type FindReference, noReferences } from "./references.js";

/** ValidateRun's answer: everything that is wrong with a spec, or unusual. @param roots where its paths may lead @param find knows what it refers to */
export async function validateRun(
  spec: RunSpec | undefined,
  roots: RootSettings | undefined,
  find: FindReference = noReferences,
): Promise<MessageInitShape<typeof ValidateRunResponseSchema>> {
  const verdict = await checkReferring(spec ?? create(RunSpecSchema), roots, find);
  if ("spec" in verdict) return { problems: [], warnings: [...verdict.warnings] };
  return { problems: verdict.problems.map(({ fieldPath, description }) => ({ field: fieldPath, message: description })), warnings: [] };
}
