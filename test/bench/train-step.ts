/** Milliseconds and memory of a training step (JSD(0.5) on whole distributions), against PyTorch's if it is at hand. */
import { gemmRate, havePeers, race, threads } from "./harness.js";
import { addRow, size } from "./rows.js";
import { type Served, startOurs, startPeer } from "./served.js";
import { loadArguments, loads, nameOf, type Shape, savedModel, shapes } from "./shapes.js";

/** torch.compile needs a compiler and a minute: a row of its own where it is asked for. */
const compiled = process.env.RETORT_BENCH_COMPILE === "1";

async function bench(shape: Shape, peers: boolean, roof: number): Promise<void> {
  const { directory, parameters, vocabSize, hiddenSize } = await savedModel(shape, "student");
  const load = loads[shape];
  const args = ["--model", directory, ...loadArguments(load)];
  const ours = startOurs("retort", "train", { directory, load });
  const rivals: Served[] = [];
  if (peers) rivals.push(startPeer("PyTorch", "train.py", args));
  if (peers && compiled) rivals.push(startPeer("PyTorch, compiled", "train.py", [...args, "--compiled", "1"]));
  const seconds = await race([ours, ...rivals], load.repetitions);
  const rss = new Map([ours, ...rivals].map((one) => [one.name, one.peak]));
  for (const one of [ours, ...rivals]) await one.stop();
  // Six operations per weight and token; the (tied) head works on completion tokens only.
  const head = vocabSize * hiddenSize;
  const flop = 6 * load.batch * ((parameters - head) * (load.prompt + load.fresh) + head * load.fresh);
  const first = seconds.get("retort")!;
  const work = `train step, ${nameOf(shape)}, ${load.batch} sequences of ${load.prompt + load.fresh} tokens`;
  for (const [name, s] of seconds) {
    const rate = `${(flop / s / 1e9).toFixed(0)} GFLOP/s, ${((flop / s / 1e9 / roof) * 100).toFixed(0)} % of the roof`;
    const memory = `peak RSS ${size(rss.get(name))}, ${((rss.get(name) ?? Number.NaN) / parameters).toFixed(1)} bytes per parameter`;
    console.log(`${work}: ${name}: ${(s * 1000).toFixed(0)} ms, ${rate}, ${memory}, ${(s / first).toFixed(2)}x the time of retort`);
  }
  const best = rivals.map(({ name }) => name).sort((a, b) => seconds.get(a)! - seconds.get(b)!)[0];
  const peer = best ? { peer: `${best} ${ms(seconds.get(best)!)}`, ratio: seconds.get(best)! / first, peerRss: rss.get(best) } : {};
  addRow({ work, ours: ms(first), oursRss: rss.get("retort"), ...peer });
}

const ms = (s: number) => (s < 10 ? `${(s * 1000).toFixed(0)} ms` : `${s.toFixed(1)} s`);

const roof = await gemmRate();
console.log(`train-step: ${threads} threads, roof ${roof.toFixed(0)} GFLOP/s`);
const peers = havePeers();
for (const shape of shapes) await bench(shape, peers, roof);
