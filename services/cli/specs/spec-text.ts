import { existsSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { counted } from "../../shared/base/counted.js";
import type { Choices } from "./choices.js";
import type { Names } from "./names.js";
import type { Lengths, Survey, SurveyedData, SurveyedModel } from "./survey.js";

/** What editors check specs by, where this program is installed. */
const schema = fileURLToPath(new URL("../../../../deploy/examples/run-spec.schema.json", import.meta.url));

/** A spec as YAML, with what each setting follows from. */
export function specText({ student, teacher, data, heldOut }: Survey, choices: Choices, names: Names): string {
  const { out } = names;
  const at = (path: string) => quoted(names.at(path));
  const { completionField, messagesField, promptField, referenceField } = data.columns;
  const fields = Object.entries({ promptField, completionField, referenceField, messagesField });
  return lines([
    teacher
      ? `# On-policy distillation of ${names.of(student.directory)} by ${names.of(teacher.directory)}: the student writes, the teacher judges each token.`
      : `# Supervised fine-tuning of ${names.of(student.directory)} on the completions of ${names.of(data.path)}: name a teacher to distil one.`,
    `# Written by \`retort init\`. To check it: retort validate ${basename(out)}. To start it: retort run ${basename(out)}`,
    existsSync(schema) && `# yaml-language-server: $schema=${names.at(schema)}`,
    `name: ${runName(names, student)}`,
    "seed: 1",
    `# ${modelText(student)}.`,
    "student:",
    `  model: ${at(student.directory)}`,
    ...(choices.way === "weights" ? [] : ["  # All weights would take more memory than this machine has.", "  lora: { r: 16, alpha: 32 }"]),
    teacher && `# ${modelText(teacher)}.`,
    teacher && "teachers:",
    teacher && `  - model: ${at(teacher.directory)}`,
    "data:",
    ...dataText(data).map((line) => `  # ${line}`),
    `  path: ${at(data.path)}`,
    ...fields.map(([name, column]) => column && `  ${name}: ${quoted(column)}`),
    data.chat && "  # Prompts are a user's message in the student's chat template.",
    data.chat && "  chat: true",
    ...evaluationLines(data, choices, heldOut && at(heldOut)),
    ...phaseLines(data, choices, student),
    "# On GPUs (see retort doctor):",
    "# roles: { student: { device: cuda }, teacher: { device: cuda }, learner: { device: cuda } }",
  ]);
}

function evaluationLines(data: SurveyedData, { holdOut, metric, steps }: Choices, heldOut: string | undefined): Line[] {
  if (!heldOut && !holdOut)
    return [`# ${counted(data.rows, "row is", "rows are")} too few to hold some out: name others as evaluation: { path: FILE }`];
  const compared = data.references && {
    "": "Completions count as right if they are the reference word for word.",
    numeric: "Answers count as right if their last number is the reference's.",
    rouge_l: `References are long (median ${counted(data.references.median, "token")}): how much of them is in completions counts, and not whether all is.`,
  };
  return [
    "evaluation:",
    !heldOut && `  # The last ${counted(holdOut, "row")}: measured, and not trained on.`,
    heldOut ? `  path: ${heldOut}` : `  holdOut: ${holdOut}`,
    `  everySteps: ${Math.max(1, Math.round(steps / 4))}`,
    compared && `  # ${compared[metric]}`,
    compared && metric && `  metric: ${metric}`,
  ];
}

function phaseLines(data: SurveyedData, choices: Choices, { adapted }: SurveyedModel): Line[] {
  const { preset, steps, batchSize, maxNewTokens, learningRate, warmupSteps, trained, way, context } = choices;
  const mixed = data.completions ? "; lambda: 0.5 takes half of the steps on the rows' own completions" : "";
  const checkpointing = way === "checkpointed adapter" ? ", gradientCheckpointing: true" : "";
  const what = way === "weights" && !adapted ? "all weights of a model" : "an adapter of a model";
  const room = context - maxNewTokens;
  const dropped = data.prompts.longest > room;
  const length = data.completions
    ? `95 of 100 completions have at most ${counted(data.completions.most, "token")}.`
    : "How long answers may be: the rows have none to go by.";
  return [
    "phases:",
    `  - preset: ${preset}`,
    ...(preset === "sft"
      ? []
      : [
          `    # Reverse KL: the student learns to write what the teacher finds probable, on its own texts alone${mixed}.`,
          "    objective: { divergence: reverse_kl }",
        ]),
    `    # ${((steps * batchSize) / trained).toFixed(1)} passes over ${data.isWhole ? "" : "the first "}${counted(trained, "row")}.`,
    `    steps: ${steps}`,
    `    batchSize: ${batchSize}`,
    `    # ${length}${dropped ? ` Prompts of more than ${counted(room, "token")} are dropped.` : ""}`,
    `    sampling: { temperature: 1, maxNewTokens: ${maxNewTokens} }`,
    `    # Usual for ${what} of this size; it rises over a twentieth of the steps.`,
    `    optimizer: { learningRate: ${learningRate.toExponential(1)}, schedule: linear, warmupSteps: ${warmupSteps}${checkpointing} }`,
  ];
}

/** A line of the file, or none. */
type Line = string | false | undefined | "";

const lines = (all: readonly Line[]): string => `${all.filter(Boolean).join("\n")}\n`;

function modelText({ family, parameters, context, dtype, hasChatTemplate, adapted }: SurveyedModel): string {
  const template = hasChatTemplate ? ", with a chat template" : "";
  return `${adapted ? "An adapter of a model: " : ""}${family}, ${parameters.toLocaleString("en")} parameters in ${dtype}, texts of ${counted(context, "token")}${template}`;
}

function dataText({ rows, isWhole, prompts, completions }: SurveyedData): string[] {
  const lengths = ({ median, longest }: Lengths) => `${counted(median, "token")} at the median, ${longest} at most`;
  return [
    `${isWhole ? counted(rows, "row") : `The first ${counted(rows, "row")}`}: prompts have ${lengths(prompts)}${completions ? `, completions ${lengths(completions)}` : ", and no completions"}.`,
  ];
}

/** Text as YAML reads it. */
const quoted = (text: string): string =>
  /^[A-Za-z./][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text) ? text : JSON.stringify(text);

/** The stem of a run's id, by the name of its spec's file; where that says nothing, by the student's. */
function runName({ out, of }: Names, { directory }: SurveyedModel): string {
  const stem = basename(out).replace(/\.[^.]*$/, "");
  return idOf(stem === "run" ? of(directory) : stem) || "run";
}

/** Text as a run's id may have it. */
const idOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 40)
    .replace(/-+$/, "");
