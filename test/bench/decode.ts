/** Tokens per second of sampling: ours against one run per token, and against Hugging Face `generate` if it is at hand. */
import { rm } from "node:fs/promises";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { gemmRate, havePeers, Peer, race, threads } from "./harness.js";
import { benchModel, loadArguments, loads, type Shape, saveForPeers, shapes, tokenRows } from "./shapes.js";

async function bench(shape: Shape, peers: boolean, roof: number): Promise<void> {
  const model = benchModel(shape, "student");
  const load = loads[shape];
  const params = { temperature: 1, topK: 0, topP: 1, maxNewTokens: load.fresh, stopIds: [] };
  const requests = tokenRows(load.batch, load.prompt).map((promptIds, row) => ({ promptIds, seed: BigInt(row) }));
  const sampler = (chunkTokens: number) =>
    new Sampler(model.config, model.params, { device: "cpu", threads, chunkTokens, maxRows: load.batch });
  const [looped, stepped] = [sampler(64), sampler(1)];
  const swapped = async () => {
    await looped.setWeights(model.params);
    return looped.sample(requests, params);
  };
  const directory = await saveForPeers(model);
  const peer = peers ? new Peer("hf generate", "generate.py", ["--model", directory, ...loadArguments(load)]) : undefined;
  const ours = [
    { name: "retort", run: () => looped.sample(requests, params) },
    { name: "retort, new weights each time", run: swapped },
    { name: "retort, one run per token", run: () => stepped.sample(requests, params) },
  ];
  const seconds = await race([...ours, ...(peer ? [peer] : [])], load.repetitions);
  peer?.stop();
  await rm(directory, { recursive: true });
  await looped.release();
  await stepped.release();
  const tokens = load.batch * load.fresh;
  const flop = 2 * parameterCount(model.config) * load.batch * (load.fresh + load.prompt);
  const first = seconds.get("retort")!;
  for (const [name, s] of seconds) {
    const share = ((flop / s / 1e9 / roof) * 100).toFixed(0);
    const line = `${Math.round(tokens / s)} tokens/s, ${((s * 1000) / load.fresh).toFixed(2)} ms/step, ${share} % of the roof`;
    console.log(
      `decode ${shape}, batch ${load.batch}, ${load.prompt}+${load.fresh} tokens: ${name}: ${line}, ${(s / first).toFixed(2)}x the time of retort`,
    );
  }
}

const roof = await gemmRate();
console.log(`decode: ${threads} threads, roof ${roof.toFixed(0)} GFLOP/s`);
const peers = havePeers();
for (const shape of shapes) await bench(shape, peers, roof);
