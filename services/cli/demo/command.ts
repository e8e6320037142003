import { access, realpath, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import pc from "picocolors";
import { RetortError } from "../../shared/base/errors.js";
import { lockDirectory } from "../../shared/base/lock-directory.js";
import { optionalPackage } from "../../shared/base/optional-package.js";
import { checkDeletable, clearDirectory, ownDirectory } from "../../shared/base/own-directory.js";
import { checkOwnFile } from "../../shared/base/own-file.js";
import { promptOfRow } from "../../shared/codec/examples.js";
import { defaultColumns, readDataset } from "../../shared/flow/prompts/dataset.js";
import { writeTask } from "../../shared/tasks/task-files.js";
import { startBar } from "../bar.js";
import { addCommand, print } from "../command.js";
import { type ControllerClient, connectController, startLocal } from "../local.js";
import { chatSettings } from "../models/chat-options.js";
import { evaluateModel } from "../models/evaluate-model.js";
import { type ModelServer, serveModel } from "../models/model-server.js";
import { wordsOf } from "../models/model-words.js";
import { checkSucceeded, type RunHistory, readSpec, runOf, watchRun } from "../runs/runs.js";
import { textTable } from "../text-table.js";
import { type Contender, isReport, reportHtml, tableHead, tableRow } from "./report.js";

const examples = fileURLToPath(new URL("../../../../deploy/examples/num2words/", import.meta.url));
const say = (text: string): void => console.error(text);

interface DemoOptions {
  readonly retrain?: boolean;
  readonly dataDir: string;
  readonly report: string;
  readonly force?: boolean;
}

/** What a demo before has left in its directory, and this one makes anew. */
const leftovers = ["nats", "runs", "scores", "weights", "controller.log", "controller.pid", "address"];

/** Adds `retort demo`. */
export function addDemoCommand(program: Command): void {
  addCommand(program, "Start here:", "demo", "the main job in two minutes: distil a student on-policy, compare, write report.html", [
    ["demo", "with the teacher and the start that the repository carries"],
    ["demo --retrain --report /tmp/report.html", "makes those anew first"],
  ])
    .option("--retrain", "make the data, the teacher and the student's supervised start anew as well")
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
  const charts = await optionalPackage("echarts", () => import("echarts"));
  await startAnew(dataDir, force);
  const service = await startLocal({ dataDir, port: 0, natsPort: 0, progress: say, kind: "demo", force });
  const controller = connectController(service.address);
  try {
    if (retrain || !(await isThere("models/student/model.safetensors"))) await makeModels(controller);
    const students: [Student, ...Student[]] = [
      { name: "teacher", data: "all 1000 examples", directory: join(examples, "models/teacher") },
      { name: "SFT student", data: "150 examples with answers", directory: join(examples, "models/student") },
    ];
    for (const { spec, name, data } of methods) {
      say(pc.bold(`\n${name} (${spec})`));
      const history = await runSpec(controller, spec);
      students.push({ name, data, directory: history.run.output, history });
    }
    const contenders = await compareAll(students);
    say(`\n${textTable(tableHead, contenders.map(tableRow), process.stderr)}`);
    await writeFile(report, reportHtml(contenders, (performance.now() - started) / 1000, charts));
    say(`\ncurves, samples before and after, and divergence over the text: ${report}`);
    return contenders;
  } finally {
    controller.close();
    await service.stop();
  }
}

/** Empties the directory of what a demo before has left, unless a process still works in it. */
async function startAnew(dataDir: string, force: boolean | undefined): Promise<void> {
  checkDeletable(await realpath(dataDir).catch(() => dataDir));
  const directory = await ownDirectory(dataDir, "demo", { force });
  const lock = await lockDirectory(directory);
  try {
    await clearDirectory(directory, "demo", leftovers);
  } finally {
    await lock.release();
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(join(examples, path)).then(
    () => true,
    () => false,
  );

/** Only `--retrain` makes anew what is there: a teacher alone, or a student alone, is the user's work. */
async function checkExamples(retrain: boolean): Promise<void> {
  const [student, teacher] = [await isThere("models/student/model.safetensors"), await isThere("models/teacher/model.safetensors")];
  if (student !== teacher && !retrain)
    throw new RetortError(
      "FailedPrecondition",
      `${join(examples, "models")} has a ${student ? "student but no teacher" : "teacher but no student"}; add --retrain to make the data and both anew`,
    );
}

/** The data, the teacher and the supervised start of the student: what the repository carries. */
async function makeModels(controller: ControllerClient): Promise<void> {
  await writeTask("num2words", join(examples, "data"), { train: 600, sft: 150, seed: 1n, force: true });
  // They came with the repository, or were made here before.
  for (const model of ["models/teacher", "models/student"]) await ownDirectory(join(examples, model), "output", { force: true });
  for (const spec of ["teacher.yaml", "sft.yaml"]) {
    say(pc.bold(`\n${spec}`));
    await runSpec(controller, spec);
  }
}

async function runSpec(controller: ControllerClient, name: string): Promise<RunHistory> {
  const { runId } = runOf(await controller.startRun({ spec: await readSpec(join(examples, name)) }));
  const history = await watchRun(controller, runId, new AbortController().signal);
  checkSucceeded(history.run);
  return history;
}

/** A model that is compared. */
interface Student {
  readonly name: string;
  /** What it learnt from. */
  readonly data: string;
  readonly directory: string;
  /** Of the run that trained it, if it was trained here. */
  readonly history?: RunHistory;
}

/** Measures every model on the held-out rows, against the first, the teacher. */
async function compareAll(students: readonly [Student, ...Student[]]): Promise<Contender[]> {
  const rows = await readDataset(join(examples, "data/held-out.jsonl"), defaultColumns);
  say(pc.bold("\nmeasuring every model on the held-out numbers"));
  const bar = startBar("measuring", rows.length * students.length);
  const teacher = await serveModel(students[0].directory);
  const contenders: Contender[] = [];
  try {
    for (const [i, { name, data, directory, history }] of students.entries()) {
      const { encoder } = await wordsOf(directory, chatSettings({}));
      const model: ModelServer = i === 0 ? teacher : await serveModel(directory);
      const stop = () => (model === teacher ? undefined : model.stop());
      const evaluation = await evaluateModel(model, { teacher }, rows, {
        prompts: encoder.prompts(rows.map(promptOfRow), (i) => rows[i]!.where),
        metric: "exact_match",
        maxNewTokens: 32,
        seed: 1,
        temperatures: [1],
        samplesPerPrompt: 1,
        passAt: [],
        selfBleuUnit: "character",
        rewards: [],
        progress: (done, total) => bar.update((i + done / total) * rows.length),
      }).finally(stop);
      contenders.push({ name, data, evaluation, history });
    }
  } finally {
    bar.stop();
    await teacher.stop();
  }
  return contenders;
}
