import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { RetortError } from "../shared/base/errors.js";
import { createClient } from "../shared/base/rpc/client.js";
import { StudentService } from "../shared/gen/retort/v1/student_pb.js";
import { boundPort, end, spawnRole } from "./local.js";
import { tasks, writeTask } from "./task-files.js";

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
    .command("task <name> <dir>")
    .description(`write a generated task: datasets as JSONL, and a tokenizer to start models with (${Object.keys(tasks).join(", ")})`)
    .option("--train <n>", "training examples; the rest is held out", "600")
    .option("--sft <n>", "training examples for the supervised start", "150")
    .option("--seed <n>", "seed of the split", "1")
    .action(async (name: string, directory: string, { train, sft, seed }: Record<"train" | "sft" | "seed", string>) => {
      const files = await writeTask(name, directory, { train: Number(train), sft: Number(sft), seed: BigInt(seed) });
      console.log(program.opts().json ? JSON.stringify(files) : files.join("\n"));
    });
}

async function sample(program: Command, prompts: readonly string[], options: SampleOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "retort-"));
  const log = join(directory, "student.log");
  const child = spawnRole("student", ["--model", options.model, "--device", options.device, "--log-format", "json"], log);
  try {
    const port = await Promise.race([
      boundPort(log, child.pid!),
      new Promise<never>((_, reject) =>
        child.once("exit", () => reject(new RetortError("FailedPrecondition", `the model ${options.model} could not be served`))),
      ),
    ]);
    const client = createClient(StudentService, `127.0.0.1:${port}`, { timeoutMs: 600_000, maxMessageBytes: 64 * 1024 * 1024 });
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
    for await (const { prompt, sample: index, text } of client.sample(request)) texts[prompt]![index] += text;
    client.close();
    if (program.opts().json) console.log(JSON.stringify(prompts.map((prompt, i) => ({ prompt, completions: texts[i] }))));
    else for (const [i, prompt] of prompts.entries()) for (const text of texts[i]!) console.log(`${prompt}${text}`);
  } finally {
    await end(child, 5000);
    await rm(directory, { recursive: true, force: true });
  }
}
