import type { Command } from "commander";
import { addCommand, decimal, print, wholeNumber } from "../command.js";
import { startBar } from "../terminal/bar.js";
import { addChatOptions, type ChatOptions, chatSettings } from "./chat-options.js";
import { deviceOption, dtypeOption } from "./device-option.js";
import { pieceOf, promptInput, roomFor, serveModel } from "./model-server.js";
import { wordsOf } from "./model-words.js";

interface SampleOptions extends ChatOptions {
  readonly model: string;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly max?: number;
  readonly count: number;
  readonly seed: number;
  readonly device: string;
  readonly dtype?: string;
}

/** Adds `retort sample`. */
export function addSampleCommand(program: Command): void {
  const sampling = addCommand(program, "Models and data:", "sample [prompt...]", "complete prompts with a model directory", [
    ['sample "347=" --model deploy/examples/num2words/models/teacher', "one completion at temperature 1"],
    ['sample "12=" "13=" --model DIR --temperature 0 --json', "greedy, as JSON"],
    ['sample "Once upon a time" --model DIR --count 4 --max 200', "four of at most 200 tokens"],
    ['sample --chat "What is the capital of France?" --model DIR', "as a user's message, in the model's chat template"],
  ]);
  addChatOptions(sampling)
    .requiredOption("--model <dir>", "Hugging Face model directory")
    .option("--temperature <t>", "0 is greedy", decimal(0, 100), 1)
    .option("--top-k <k>", "keep the k most probable tokens; 0 keeps all", wholeNumber(0), 0)
    .option("--top-p <p>", "keep the smallest set of tokens with this mass", decimal(Number.MIN_VALUE, 1), 1)
    .option("--max <n>", "most new tokens (default: 128, or what the model's context leaves)", wholeNumber(1))
    .option("--count <n>", "samples per prompt, at most 1024", wholeNumber(1, 1024), 1)
    .option("--seed <n>", "the same seed gives the same samples", wholeNumber(0), 0)
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .action((prompts: string[], options: SampleOptions) => sample(program, prompts.length ? prompts : [""], options));
}

async function sample(program: Command, prompts: readonly string[], options: SampleOptions): Promise<void> {
  const { model, temperature, topK, topP, count, seed } = options;
  const server = await serveModel(model, options.device, options.dtype);
  const { client, stop } = server;
  const bar = startBar("sampling", prompts.length * count);
  try {
    const { encoder } = await wordsOf(model, chatSettings(options));
    const encoded = encoder.prompts(prompts, (i) => `prompt ${i + 1}`);
    const maxNewTokens = options.max ?? (await roomFor(server, encoded));
    const texts = prompts.map(() => Array.from({ length: count }, () => ""));
    const request = {
      prompts: encoded.map(promptInput),
      sampling: { temperature, topK, topP, maxNewTokens },
      samplesPerPrompt: count,
      seed: BigInt(seed),
    };
    let done = 0;
    for await (const answer of client.sample({ request })) {
      const { prompt, sample, text, finish } = pieceOf(answer);
      texts[prompt]![sample] += text;
      if (finish) bar.update(++done);
    }
    bar.stop();
    const lines = prompts.flatMap((prompt, i) => texts[i]!.map((text) => (options.chat ? text : `${prompt}${text}`)));
    print(
      program,
      prompts.map((prompt, i) => ({ prompt, completions: texts[i] })),
      lines.join("\n"),
    );
  } finally {
    bar.stop();
    await stop();
  }
}
