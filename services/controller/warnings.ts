import { resolveRun, teacherName } from "../shared/flow/runs/resolve.js";
import type { RunSpec } from "../shared/gen/retort/v1/run_pb.js";
import { type Inspected, inspect } from "./check-models.js";

/** Something that is allowed and unusual. */
export interface SpecWarning {
  readonly field: string;
  readonly message: string;
}

/** What is allowed and unusual about a spec that has no problems. */
export async function warningsOf(spec: RunSpec): Promise<SpecWarning[]> {
  return [...objectiveWarnings(spec), ...(await teacherWarnings(spec))];
}

function objectiveWarnings(spec: RunSpec): SpecWarning[] {
  return resolveRun(spec).phases.flatMap(({ objective: { divergence, beta, normalizeJsd } }, i) => {
    const extreme = divergence === "jsd" && !normalizeJsd && ((beta > 0 && beta < 0.05) || (beta < 1 && beta > 0.95));
    if (!extreme) return [];
    const message = `is ${beta}: the gradient of JSD(β) shrinks towards both ends; set normalizeJsd or raise the learning rate`;
    return [{ field: `phases[${i}].objective.beta`, message }];
  });
}

/** Teachers that would judge the student by habits which it was never given. */
async function teacherWarnings(spec: RunSpec): Promise<SpecWarning[]> {
  if (!spec.student!.model) return [];
  const student = await inspect(spec.student!.model);
  const found = spec.teachers.map(async ({ name, model }, i) => {
    const teacher = await inspect(model);
    const warn = (message: string): SpecWarning => ({ field: `teachers[${i}].model`, message });
    const [own, other] = [endsOf(student), endsOf(teacher)];
    const strange = own.filter((id) => !other.includes(id));
    return [
      ...(strange.length
        ? [
            warn(
              `the teacher "${teacherName(name)}" ends texts with token ${other.join(", ")}, the student with ${own.join(", ")}: it will find the student's end improbable; make eos_token_id alike in their config.json`,
            ),
          ]
        : []),
      ...(student.tokenizer.templateDigest !== teacher.tokenizer.templateDigest
        ? [
            warn(
              `the teacher "${teacherName(name)}" has another chat template than the student, whose template writes the prompts: its scores are of text in a form that it was not trained on; give both the same chat_template`,
            ),
          ]
        : []),
    ];
  });
  return (await Promise.all(found)).flat();
}

/** Tokens that end a text: those of the config, else the tokenizer's. */
function endsOf({ config, tokenizer }: Inspected): readonly number[] {
  if (config?.eosIds.length) return config.eosIds;
  const { eosId } = tokenizer.specials;
  return eosId === undefined ? [] : [eosId];
}
