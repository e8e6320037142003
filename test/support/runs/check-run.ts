import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { TeacherSource } from "../../../services/controller/check/ask-teacher.js";
import { type CheckResult, RunCheck } from "../../../services/controller/check/check-run.js";
import { warningsOf } from "../../../services/controller/check/warnings.js";
import { Metrics } from "../../../services/shared/base/metrics.js";
import { anywhere, type SpecRoots } from "../../../services/shared/flow/runs/paths.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { TeacherServiceDescribeResponseSchema } from "../../../services/shared/gen/retort/v1/teacher_pb.js";
import { anyBackend } from "../../../services/teacher/backends/table.js";
import { teacherService } from "../../../services/teacher/service.js";

type Description = MessageInitShape<typeof TeacherServiceDescribeResponseSchema>;

/** What a teacher of a model directory answers to Describe, without a process of its own. */
export async function describedBy(source: TeacherSource, vocabulary: boolean) {
  const options = {
    device: "cpu",
    threads: 1,
    batchTokens: 1,
    metrics: new Metrics("teacher"),
    tokens: { env: process.env, hosts: "", plaintext: false },
  } as const;
  const teacher = anyBackend(options).describe(source);
  const { handlers } = teacherService(
    () => teacher,
    () => {
      throw new Error("no weights are read here");
    },
  );
  const answer = (handlers.describe as (request: { vocabulary: boolean; model: string }) => Promise<Description>)({
    vocabulary,
    model: "",
  });
  return create(TeacherServiceDescribeResponseSchema, await answer);
}

/** Checks a run in this thread, as the controller's inspection does in its own. */
export async function checkOf(spec: RunSpec, roots: SpecRoots = anywhere): Promise<CheckResult> {
  const check = await RunCheck.begin(spec, roots);
  for (const source of check.teachers)
    await check.describe(source, async (digest) => {
      const described = await describedBy(source, false);
      return digest === described.tokenizerDigest ? described : describedBy(source, true);
    });
  return check.finish();
}

/** What is wrong with a run. */
export async function problemsOf(spec: RunSpec, roots?: SpecRoots) {
  const result = await checkOf(spec, roots);
  return "problems" in result ? result.problems : [];
}

/** What is unusual about a run that nothing is wrong with. @throws the problems of another one */
export async function warningsOfRun(spec: RunSpec) {
  const result = await checkOf(spec);
  if ("problems" in result) throw new Error(`the run has problems: ${JSON.stringify(result.problems)}`);
  return warningsOf(result.checked);
}
