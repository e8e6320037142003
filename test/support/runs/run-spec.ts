import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ResolvedRun, resolveRun } from "../../../services/shared/flow/runs/resolve.js";
import { type PhaseSpecSchema, type RunSpec, RunSpecSchema } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

type Init = Exclude<MessageInitShape<typeof RunSpecSchema>, { $typeName: "retort.v1.RunSpec" }>;

/** A valid spec over paths that are not looked at, with other fields in place of its own. */
export const specOf = (fields: Init = {}): RunSpec =>
  create(RunSpecSchema, {
    name: "test",
    student: { model: "/student" },
    teachers: [{ model: "/teacher" }],
    data: { path: "/data.jsonl" },
    phases: [{ steps: 10 }],
    ...fields,
  });

/** A run of the given phases. */
export const runOf = (phases: MessageInitShape<typeof PhaseSpecSchema>[], fields: Init = {}): ResolvedRun =>
  resolveRun(specOf({ phases, ...fields }));
