/** Completion tokens per second of a teacher's scoring, against PyTorch's forward if it is at hand. */
import { rm } from "node:fs/promises";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { gemmRate, havePeers, Peer, race, threads } from "./harness.js";
import { benchModel, loadArguments, loads, type Shape, saveForPeers, shapes, tokenRows } from "./shapes.js";

async function bench(shape: Shape, peers: boolean, roof: number): Promise<void> {
  const model = benchModel(shape, "teacher");
  const load = loads[shape];
  const length = load.prompt + load.fresh;
  const inputs = tokenRows(load.batch, length).map((ids) => ({
    promptIds: ids.subarray(0, load.prompt),
    completionIds: ids.subarray(load.prompt),
  }));
  const scorer = new Scorer(model.config, model.params, { device: "cpu", threads, batchTokens: 8192 });
  const directory = await saveForPeers(model);
  const peer = peers ? new Peer("torch", "score.py", ["--model", directory, ...loadArguments(load)]) : undefined;
  const ours = [
    { name: "retort, full", run: () => scorer.score(inputs, { kind: "full", k: 0, temperature: 1 }) },
    { name: "retort, top 32", run: () => scorer.score(inputs, { kind: "top_k", k: 32, temperature: 1 }) },
  ];
  const seconds = await race([...ours, ...(peer ? [peer] : [])], Math.ceil(load.repetitions / 2));
  peer?.stop();
  await rm(directory, { recursive: true });
  await scorer.release();
  const flop = 2 * parameterCount(model.config) * load.batch * length;
  const first = seconds.get("retort, full")!;
  for (const [name, s] of seconds) {
    const rate = `${Math.round((load.batch * load.fresh) / s)} completion tokens/s, ${((flop / s / 1e9 / roof) * 100).toFixed(0)} % of the roof`;
    console.log(
      `scoring ${shape}, ${load.batch} sequences of ${length} tokens: ${name}: ${(s * 1000).toFixed(0)} ms, ${rate}, ${(s / first).toFixed(2)}x the time of retort, full`,
    );
  }
}

const roof = await gemmRate();
console.log(`scoring: ${threads} threads, roof ${roof.toFixed(0)} GFLOP/s`);
const peers = havePeers();
for (const shape of shapes) await bench(shape, peers, roof);
