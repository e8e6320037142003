import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { ownDirectory } from "../../shared/base/own-directory.js";
import { checkOwnFile } from "../../shared/base/own-file.js";
import { defaultColumns, readDataset } from "../../shared/flow/prompts/dataset.js";
import { writeTask } from "../../shared/tasks/task-files.js";
import { addCommand, print } from "../command.js";
import type { ControllerClient } from "../local.js";
import { chatSettings } from "../models/chat-options.js";
import { wordsOf } from "../models/model-words.js";
import { readRun } from "../report/read-run.js";
import { isReport, writeReport } from "../report/write-report.js";
import { readSpec } from "../runs/runs.js";
import { styleFor } from "../terminal/style.js";
import { textTable } from "../terminal/text-table.js";
import { type Contender, compareAll, type Student } from "./compare.js";
import { summaryOf, tableHead, tableRow } from "./report.js";
import { addSmolLm2Command } from "./smollm2/command.js";
import { runToEnd, say, withStage } from "./stage.js";

const examples = fileURLToPath(new URL("../../../../deploy/examples/num2words/", import.meta.url));

interface DemoOptions {
  readonly retrain?: boolean;
  readonly dataDir: string;
  readonly report: string;
  readonly force?: boolean;
}

/** Adds `retort demo`. */
export function addDemoCommand(program: Command): void {
  const command = addCommand(
    program,
    "Start here:",
    "demo",
    "the main job in two minutes: distil a student on-policy, compare, write report.html",
    [
      ["demo", "with the teacher and the start that the repository carries"],
      ["demo --retrain --report /tmp/report.html", "makes those again first"],
      ["demo smollm2 --help", "the same with a real model, and with your own"],
    ],
  );
  command
    .option("--retrain", "make the data, the teacher and the student's supervised start again, too")
    .option("--data-dir <dir>", "directory for streams, runs and weights", ".retort/demo")
    .option("--report <file>", "where the report goes", "report.html")
    .option("--force", "overwrite a report, and take a data directory, that Retort did not make; nothing is deleted")
    .action(async (options: DemoOptions) => {
      const contenders = await demo({ ...options, dataDir: resolve(options.dataDir), report: resolve(options.report) });
      print(
        program,
        contenders.map(({ name, data, evaluation: { greedySamples, samples, ...figures } }) => ({ name, data, ...figures })),
        "",
      );
    });
  addSmolLm2Command(program, command);
}

/** The methods that the demo compares: each a run spec beside the others. */
const methods = [
  { spec: "supervised-kd.yaml", name: "supervised KD", data: "150 examples with answers" },
  { spec: "supervised-kd-all.yaml", name: "supervised KD, four times the answers", data: "600 examples with answers" },
  { spec: "on-policy.yaml", name: "on-policy GKD", data: "600 prompts, no answers" },
] as const;

async function demo({ dataDir, retrain = false, report, force }: DemoOptions): Promise<Contender[]> {
  const started = performance.now();
  await checkOwnFile(report, { option: "--report", isOurs: isReport, force });
  await checkExamples(retrain);
  return withStage(dataDir, force, async (controller) => {
    if (retrain || !(await isThere("models/student/model.safetensors"))) await makeModels(controller);
    const students: [Student, ...Student[]] = [
      { name: "teacher", data: "all 1000 examples", directory: join(examples, "models/teacher") },
      { name: "SFT student", data: "150 examples with answers", directory: join(examples, "models/student") },
    ];
    for (const { spec, name, data } of methods) {
      say(styleFor(process.stderr).bold(`\n${name} (${spec})`));
      const history = await runToEnd(controller, await readSpec(join(examples, spec)));
      students.push({ name, data, directory: history.run.output, history });
    }
    const rows = await readDataset(join(examples, "data/held-out.jsonl"), defaultColumns);
    const contenders = await compareAll(students, rows, { what: "numbers", metric: "exact_match", maxNewTokens: 32, chat: false });
    say(`\n${textTable(tableHead, contenders.map(tableRow), process.stderr)}`);
    const { tokenizer } = await wordsOf(join(examples, "models/teacher"), chatSettings({ chat: false }));
    await writeReport(report, {
      summary: summaryOf(contenders, tokenizer, (performance.now() - started) / 1000),
      runs: await Promise.all(students.flatMap(({ history }) => (history ? [readRun(controller, history.run.runId)] : []))),
    });
    say(`\ncurves, completions before and after, and divergence over the text: ${report}`);
    return contenders;
  });
}

const isThere = (path: string): Promise<boolean> =>
  access(join(examples, path)).then(
    () => true,
    () => false,
  );

/** Only `--retrain` replaces what is there: a teacher alone, or a student alone, is the user's work. */
async function checkExamples(retrain: boolean): Promise<void> {
  const [student, teacher] = [await isThere("models/student/model.safetensors"), await isThere("models/teacher/model.safetensors")];
  if (student !== teacher && !retrain)
    throw new RetortError(
      "FailedPrecondition",
      `${join(examples, "models")} has a ${student ? "student but no teacher" : "teacher but no student"}; add --retrain to make the data and both again`,
    );
}

/** The data, the teacher and the supervised start of the student: what the repository carries. */
async function makeModels(controller: ControllerClient): Promise<void> {
  await writeTask("num2words", join(examples, "data"), { train: 600, sft: 150, seed: 1n, force: true });
  // They came with the repository, or were made here before.
  for (const model of ["models/teacher", "models/student"]) await ownDirectory(join(examples, model), "output", { force: true });
  for (const spec of ["teacher.yaml", "sft.yaml"]) {
    say(styleFor(process.stderr).bold(`\n${spec}`));
    await runToEnd(controller, await readSpec(join(examples, spec)));
  }
}
