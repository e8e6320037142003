import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";
import { machineMemory } from "./machine-memory.js";
import { memoryWarnings } from "./memory-warnings.js";
import type { NamedModel } from "./named-model.js";
import { settingsWarnings } from "./settings-warnings.js";
import { vocabularyWarnings } from "./vocabulary.js";

/**
 * What is allowed and unusual about a run that has no problems.
 *
 * @param memory bytes of this machine; undefined where the run's processes are on others
 */
export function warningsOf(checked: CheckedRun, memory = machineMemory()): SpecWarning[] {
  return [
    ...settingsWarnings(checked),
    ...objectiveWarnings(checked.run),
    ...checkpointWarnings(checked.spec),
    ...modelWarnings(checked),
    ...evaluationWarnings(checked),
    ...(checked.rowWarnings ?? []),
    ...memoryWarnings(checked, memory),
  ];
}

function checkpointWarnings({ checkpoints, evaluation }: RunSpecValid): SpecWarning[] {
  if (checkpoints?.everySteps || checkpoints?.everySeconds !== 0 || evaluation?.everySteps) return [];
  const message = "is 0, and everySteps too: no checkpoint is saved before the end, and a run whose learner is lost begins again at step 1";
  return [{ field: "checkpoints.everySeconds", message }];
}

function evaluationWarnings({ spec, teachers }: CheckedRun): SpecWarning[] {
  const poor = teachers.find(({ offer }) => offer?.largestK === 0);
  if (!poor || !spec.evaluation?.path) return [];
  const message = `has no figures of the teacher: ${poor.name}, ${poor.offer?.source}, gives the given token's log-probability alone`;
  return [{ field: "evaluation", message }];
}

const seesRanks =
  "is uld, which compares probabilities by rank and doesn't see which tokens they belong to: its distance may fall while the student forgets; watch held-out figures, or use reverse_kl";

function objectiveWarnings({ phases }: ResolvedRun): SpecWarning[] {
  return phases.flatMap(({ objective: { divergence, beta, normalizeJsd } }, i) => {
    if (divergence === "uld") return [{ field: `phases[${i}].objective.divergence`, message: seesRanks }];
    const extreme = divergence === "jsd" && !normalizeJsd && ((beta > 0 && beta < 0.05) || (beta < 1 && beta > 0.95));
    if (!extreme) return [];
    const message = `is ${beta}: the gradient of JSD(β) shrinks towards both ends; set normalizeJsd or raise the learning rate`;
    return [{ field: `phases[${i}].objective.beta`, message }];
  });
}

/** Models whose files are strange, and teachers that would judge the student by habits which it was never given. */
function modelWarnings({ spec, student, teachers }: CheckedRun): SpecWarning[] {
  const own = [student, ...teachers].flatMap(({ field, warnings, ends, name }) =>
    [...warnings, ...ends.warnings.map((message) => `${name}: ${message}`)].map((message) => ({ field, message })),
  );
  const between = teachers.flatMap((teacher) =>
    [...vocabularyWarnings(spec, student, teacher), ...habits(student, teacher)].map((message) => ({ field: teacher.field, message })),
  );
  return [...own, ...between];
}

/** In what a teacher was trained otherwise than the student will be. */
function habits(student: NamedModel, teacher: NamedModel): string[] {
  // One with its own tokenizer has its own end token and template.
  if (teacher.ownTokenizer) return [];
  const [own, other] = [student.ends.declared, teacher.ends.declared];
  const strange = own.filter((id) => !other.includes(id));
  return [
    ...(strange.length
      ? [
          `${teacher.name} ends texts with token ${other.join(", ")}, the student with ${own.join(", ")}: it will find the student's end improbable; make eos_token_id alike in their config.json`,
        ]
      : []),
    ...(student.words.templateDigest !== teacher.words.templateDigest
      ? [
          `${teacher.name} has another chat template than the student, whose template writes the prompts: its scores are of text in a form that it was not trained on; give both the same chat_template`,
        ]
      : []),
  ];
}
