import type { Command } from "commander";
import { RetortError } from "../shared/base/errors.js";
import { readDataset } from "../shared/flow/prompts/dataset.js";
import { loadModel, saveModel } from "../shared/ml/models/files.js";
import { digestOf } from "../shared/ml/models/model.js";
import { type TextMetric, textMetrics } from "../shared/ml/text/metrics/table.js";
import { tasks } from "../shared/ml/text/tasks/table.js";
import { evaluateModel } from "./evaluate.js";
import { spawnRole } from "./local.js";
import { serveModel } from "./model-server.js";
import { tableOf } from "./table.js";
import { writeTask } from "./task-files.js";

interface SampleOptions {
  readonly model: string;
  readonly temperature: string;
  readonly topK: string;
  readonly topP: string;
  readonly max: string;
  readonly count: string;
  readonly seed: string;
  readonly device: string;
}

/** Adds the commands that work on models and data without a run. */
export function addModelCommands(program: Command): void {
  program
    .command("serve <role> [settings...]")
    .description("run one role alone: retort serve teacher --model DIR --port 7071")
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (role: string, settings: string[]) => {
      const child = spawnRole(role, settings);
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
      child.once("exit", (code) => process.exit(code ?? 1));
    });
  program
    .command("sample [prompt...]")
    .description("complete prompts with a model directory")
    .requiredOption("--model <dir>", "Hugging Face model directory")
    .option("--temperature <t>", "0 is greedy", "1")
    .option("--top-k <k>", "keep the k most probable tokens; 0 keeps all", "0")
    .option("--top-p <p>", "keep the smallest set of tokens with this mass", "1")
    .option("--max <n>", "most new tokens", "128")
    .option("--count <n>", "samples per prompt", "1")
    .option("--seed <n>", "seed", "0")
    .option("--device <device>", "cpu, cuda or webgpu", "cpu")
    .action((prompts: string[], options: SampleOptions) => sample(program, prompts.length ? prompts : [""], options));
  program
    .command("eval")
    .description("measure a model on held-out rows, greedy and at temperature 1, and against a teacher")
    .requiredOption("--model <dir>", "Hugging Face model directory")
    .requiredOption("--data <file>", "JSONL or Parquet with prompt and reference (or completion)")
    .option("--teacher <dir>", "model directory to compare with, token by token")
    .option("--metric <name>", Object.keys(textMetrics).join(", "), "exact_match")
    .option("--limit <n>", "rows; 0 takes all", "0")
    .option("--max <n>", "most new tokens", "128")
    .option("--seed <n>", "seed", "0")
    .action((options: EvalOptions) => evaluate(program, options));
  program
    .command("export <model> <dir>")
    .description("check a model directory and write it anew: config.json, model.safetensors (float32), tokenizer")
    .action(async (model: string, directory: string) => {
      const loaded = await loadModel(model);
      await saveModel(directory, loaded, model);
      console.log(program.opts().json ? JSON.stringify({ directory, digest: digestOf(loaded.params) }) : directory);
    });
  program
    .command("task <name> <dir>")
    .description(`write a generated task: datasets as JSONL, and a tokenizer to start models with (${Object.keys(tasks).join(", ")})`)
    .option("--train <n>", "training examples; the rest is held out", "600")
    .option("--sft <n>", "training examples for the supervised start", "150")
    .option("--variants <n>", "valid completions of each example in all.jsonl, for tasks with many", "1")
    .option("--seed <n>", "seed of the split", "1")
    .action(async (name: string, directory: string, options: Record<"train" | "sft" | "variants" | "seed", string>) => {
      const { train, sft, variants, seed } = options;
      const split = { train: Number(train), sft: Number(sft), variants: Number(variants), seed: BigInt(seed) };
      const files = await writeTask(name, directory, split);
      console.log(program.opts().json ? JSON.stringify(files) : files.join("\n"));
    });
}

async function sample(program: Command, prompts: readonly string[], options: SampleOptions): Promise<void> {
  const { client, stop } = await serveModel(options.model, options.device);
  try {
    const texts = prompts.map(() => Array.from({ length: Number(options.count) }, () => ""));
    const sampling = {
      temperature: Number(options.temperature),
      topK: Number(options.topK),
      topP: Number(options.topP),
      maxNewTokens: Number(options.max),
    };
    const request = {
      prompts: prompts.map((text) => ({ input: { case: "text" as const, value: text } })),
      sampling,
      samplesPerPrompt: Number(options.count),
      seed: BigInt(options.seed),
    };
    for await (const { piece } of client.sample({ request })) texts[piece!.prompt]![piece!.sample] += piece!.text;
    if (program.opts().json) console.log(JSON.stringify(prompts.map((prompt, i) => ({ prompt, completions: texts[i] }))));
    else for (const [i, prompt] of prompts.entries()) for (const text of texts[i]!) console.log(`${prompt}${text}`);
  } finally {
    await stop();
  }
}

interface EvalOptions {
  readonly model: string;
  readonly data: string;
  readonly teacher?: string;
  readonly metric: string;
  readonly limit: string;
  readonly max: string;
  readonly seed: string;
}

async function evaluate(program: Command, options: EvalOptions): Promise<void> {
  if (!(options.metric in textMetrics))
    throw new RetortError("InvalidArgument", `there is no metric "${options.metric}"; known: ${Object.keys(textMetrics).join(", ")}`);
  const rows = await readDataset(
    options.data,
    { prompt: "prompt", completion: "completion", reference: "reference", messages: "messages", teacher: "teacher" },
    Number(options.limit),
  );
  const model = await serveModel(options.model);
  try {
    const teacher = options.teacher ? await serveModel(options.teacher) : undefined;
    const progress = (done: number, total: number) => console.error(`${done}/${total} rows`);
    const { samples, greedySamples, ...figures } = await evaluateModel(model, teacher, rows, {
      metric: options.metric as TextMetric,
      maxNewTokens: Number(options.max),
      seed: Number(options.seed),
      progress,
    }).finally(() => teacher?.stop());
    const lines = Object.entries(figures).map(([name, value]) => [
      name,
      typeof value === "number" && !Number.isInteger(value) ? value.toFixed(4) : String(value),
    ]);
    console.log(program.opts().json ? JSON.stringify(figures) : tableOf(["figure", "value"], lines, process.stdout));
  } finally {
    await model.stop();
  }
}
