import { existsSync } from "node:fs";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";

const directory = "../shared/models/babyllama-105";
/** As transformers 5.23 continues it, greedy; from the README beside the model. */
const story =
  "Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine. One day, she went to the park with " +
  "her mommy and daddy. She saw a big box on the ground. She wanted";

describe("a real model's greedy text", () => {
  const present = existsSync(directory);
  if (!present) console.warn(`skipped: ${directory} is not there, so no real model was decoded; put the shared models beside the project`);
  (present ? it : it.skip).each([7, 64, 200])("is that of transformers, in chunks of %d tokens", async (chunkTokens) => {
    const { config, params, tokenizer } = await loadModel(directory);
    const sampler = new Sampler(config, params, { device: "cpu", threads: 1, chunkTokens, maxRows: 4 });
    const promptIds = tokenizer.encode("Once upon a time", { addSpecial: true });
    const settings = { temperature: 0, topK: 0, topP: 1, maxNewTokens: story.length - 16, stopIds: config.eosIds };
    const [completion] = await sampler.sample([{ promptIds, seed: 1n }], settings);
    await sampler.release();
    expect(`Once upon a time${tokenizer.decode(completion!.ids)}`).toBe(story);
  });
});
