import { dirname, isAbsolute, resolve } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { type Problem, RetortError } from "../../base/errors.js";
import { parseYaml } from "../../base/yaml.js";
import { type RunSpec, RunSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import { evaluationProblems } from "./evaluation.js";
import { needsReward, needsScore, type Phase, type ResolvedRun, resolveRun, teacherName } from "./resolve.js";
import { rewardProblems } from "./rewards.js";
import { sizeProblems } from "./sizes.js";

/**
 * Reads a run spec from YAML. Paths in it are relative to its file.
 *
 * @throws InvalidArgument naming the file and the field that is unknown or malformed
 */
export function parseSpec(text: string, file: string): RunSpec {
  const json = parseYaml(text, file);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new RetortError(
      "InvalidArgument",
      `${file} holds no fields; write \`name: …\` and the others of RunSpec in proto/retort/v1/run_spec.proto`,
    );
  let spec: RunSpec;
  try {
    spec = fromJson(RunSpecSchema, json as JsonValue);
  } catch (error) {
    // Which field, and what it should be; not what stands there, since the file may be another's.
    const said = (error as Error).message.replace(/^cannot decode (message )?(retort\.v1\.)?/, "");
    const reason = said.replace(/(got|from JSON:?) "[\s\S]*$/, "$1 text").replace("from JSON: ", "");
    throw new RetortError(
      "InvalidArgument",
      `${file}: ${reason}; the fields are those of RunSpec in proto/retort/v1/run_spec.proto, in lowerCamelCase`,
    );
  }
  return withAbsolutePaths(spec, dirname(resolve(file)));
}

function withAbsolutePaths(spec: RunSpec, base: string): RunSpec {
  const absolute = (path: string) => (path === "" || isAbsolute(path) ? path : resolve(base, path));
  if (spec.student) {
    spec.student.model = absolute(spec.student.model);
    if (spec.student.init) spec.student.init.tokenizer = absolute(spec.student.init.tokenizer);
  }
  for (const teacher of spec.teachers) teacher.model = absolute(teacher.model);
  for (const reward of spec.rewards) reward.model = absolute(reward.model);
  if (spec.data) spec.data.path = absolute(spec.data.path);
  if (spec.evaluation) spec.evaluation.path = absolute(spec.evaluation.path);
  spec.output = absolute(spec.output);
  return spec;
}

const validator = createValidator();

/**
 * Everything that is wrong with a spec and can be seen without opening a model or a dataset.
 *
 * @param more further checks of the resolved run, for what records alone do not know (which objectives there are)
 */
export function checkSpec(spec: RunSpec, more: (run: ResolvedRun) => readonly Problem[] = () => []): Problem[] {
  const result = validator.validate(RunSpecSchema, spec);
  if (result.kind === "error") throw RetortError.from(result.error);
  if (result.kind === "invalid") return result.violations.map(toProblem);
  const problems: Problem[] = [];
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  const names = spec.teachers.map(({ name }) => teacherName(name));
  for (const name of names.filter((name, i) => names.indexOf(name) !== i)) problem("teachers", `the name "${name}" is given twice`);
  const writer = spec.data?.generate?.teacher;
  if (spec.data?.generate && names.length === 0) problem("data.generate", "texts are written by a teacher, and `teachers` is empty");
  else if (writer && !names.includes(writer))
    problem("data.generate.teacher", `there is no teacher "${writer}"; teachers: ${names.join(", ")}`);
  if (spec.data?.generate && !spec.data.path && !spec.data.generate.texts) problem("data.generate.texts", "say how many texts to write");
  if (spec.student?.init && !spec.student.init.tokenizer && names.length === 0)
    problem("student.init.tokenizer", "name a model directory whose tokenizer to use");
  const run = resolveRun(spec);
  run.phases.forEach((phase, i) => {
    if (needsScore(phase.objective) && names.length === 0)
      problem(`phases[${i}]`, `${phase.objective.divergence} needs a teacher, and \`teachers\` is empty`);
    if (needsReward(phase.objective) && spec.rewards.length === 0)
      problem(`phases[${i}].objective.alpha`, `alpha ${phase.objective.alpha} weighs a reward, and \`rewards\` is empty`);
    if (phase.objective.divergence === "cross_entropy" && phase.lambda > 0)
      problem(`phases[${i}].lambda`, "cross_entropy on the student's own samples teaches nothing; use lambda 0 or a divergence");
    if (choosesWithoutSampling(phase))
      problem(
        `phases[${i}].objective.signal`,
        `is student_top_k with lambda ${Math.min(phase.lambda, phase.lambdaEnd)}: the student chooses the classes while it samples, and dataset text is not sampled; use lambda 1, or top_k`,
      );
  });
  return [...problems, ...sizeProblems(spec, run), ...more(run), ...evaluationProblems(spec), ...rewardProblems(spec.rewards)];
}

/** True if a phase has steps on dataset text, for which no student has chosen the classes that its signal asks about. */
const choosesWithoutSampling = ({ objective, lambda, lambdaEnd }: Phase): boolean =>
  needsScore(objective) && objective.signal === "student_top_k" && Math.min(lambda, lambdaEnd) < 1;

function toProblem(violation: { toString(): string; message: string }): Problem {
  // A violation prints itself as "path: message [rule]".
  const [path = "", ...rest] = violation.toString().split(": ");
  const snake = rest.length ? path : "";
  return {
    fieldPath: snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    description: violation.message || rest.join(": "),
  };
}
