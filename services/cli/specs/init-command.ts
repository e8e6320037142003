import { access, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { namedInputs } from "../../shared/flow/runs/named-inputs.js";
import { parseSpecFile, type SpecFile } from "../../shared/flow/runs/spec.js";
import { addCommand, print } from "../command.js";
import { type Checker, checkFile, withChecker } from "../runs/checker.js";
import { type ControllerOptions, controllerOptions } from "../runs/controller.js";
import { referencesOf } from "../runs/located.js";
import { sayWarnings, warningJson } from "../runs/warnings.js";
import { type Choices, choicesFor, type Way } from "./choices.js";
import { namesFor } from "./names.js";
import { specText } from "./spec-text.js";
import { type Survey, type SurveyOptions, surveyOf } from "./survey.js";

interface InitOptions extends SurveyOptions, ControllerOptions {
  readonly out: string;
  readonly force?: boolean;
}

/** Adds `retort init`. */
export function addInitCommand(program: Command): void {
  const command = addCommand(
    program,
    "Start here:",
    "init",
    "write a run's spec for your models and data, with settings that suit their size",
    [
      ["init --student small --teacher large --data rows.jsonl", "looks at all three and writes run.yaml, with comments"],
      ["init --student small --data chats.parquet --out sft.yaml", "without a teacher: supervised fine-tuning"],
      ["init --student small --teacher large --data qa.jsonl --prompt q --completion a", "which columns to read"],
    ],
  );
  controllerOptions(command)
    .requiredOption("--student <dir>", "model directory of the student")
    .option("--teacher <dir>", "model directory of the teacher")
    .requiredOption("--data <file>", "JSONL or Parquet, or a directory of them")
    .option("--held-out <file>", "rows to measure with (default: the last tenth of the data)")
    .option("--out <file>", "the spec to write", "run.yaml")
    .option("--prompt <column>", "column of the prompts (default: by the columns' names)")
    .option("--completion <column>", "column of the completions")
    .option("--reference <column>", "column of the references")
    .option("--force", "write over a file that is there")
    .action((options: InitOptions, command: Command) => init(program, options, referencesOf(command)));
}

async function init(program: Command, { out, force, ...options }: InitOptions, references: ReadonlyMap<string, string>): Promise<void> {
  if (!force && (await isThere(out))) throw taken(out);
  const { controller, dataDir, token, tlsCa, tlsCert, tlsKey, ...asked } = options;
  const survey = await surveyOf(asked);
  if (!survey.teacher && !survey.data.completions)
    throw new RetortError(
      "InvalidArgument",
      `${survey.data.path} has no completions to learn from: name their column with --completion, or a model that judges what the student writes with --teacher`,
    );
  const draft = await withChecker({ controller, dataDir, token, tlsCa, tlsCert, tlsKey }, (checker) =>
    fittingDraft(checker, survey, out, references),
  );
  if (draft.problems.length) throw RetortError.ofProblems("a spec for these models and data", draft.problems);
  await writeFile(out, draft.text, { flag: force ? "w" : "wx" }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST"
      ? taken(out)
      : new RetortError("FailedPrecondition", `${out} cannot be written (${error.code}); name another file with --out`);
  });
  sayWarnings(draft.warnings);
  const { student, teacher, data } = survey;
  print(
    program,
    { spec: out, ...draft.choices, student, teacher, data, warnings: draft.warnings.map(warningJson) },
    `wrote ${out}; start it with: retort run ${out}`,
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const taken = (out: string): RetortError =>
  new RetortError("AlreadyExists", `${out} is there already; name another file with --out, or write over it with --force`);

/** A spec that was checked before it is written. */
interface Draft {
  readonly text: string;
  readonly choices: Choices;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** A spec's file with the places of what it refers to, as a run reads it. */
function fetched(file: SpecFile, references: ReadonlyMap<string, string>): SpecFile {
  const places = new Map(Array.from(references, ([place, named]) => [named, place]));
  for (const { path, replace } of namedInputs(file.spec)) replace(places.get(path) ?? path);
  return file;
}

/** The best way to train that the machine's memory is expected to hold; if none is, the one that takes least. */
async function fittingDraft(checker: Checker, survey: Survey, out: string, references: ReadonlyMap<string, string>): Promise<Draft> {
  const names = namesFor(out, references);
  const ways: readonly Way[] = survey.student.adapted ? ["weights"] : ["weights", "adapter", "checkpointed adapter"];
  let draft: Draft | undefined;
  for (const way of ways) {
    const choices = choicesFor(survey, way);
    const text = specText(survey, choices, names);
    draft = { text, choices, ...(await checkFile(checker, fetched(parseSpecFile(text, out), references))) };
    if (!draft.warnings.some(({ fieldPath }) => fieldPath === "roles")) return draft;
  }
  return draft as Draft;
}
