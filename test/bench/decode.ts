/**
 * Tokens per second and memory of sampling: with the same weights and with new ones each time, against one run per token, and
 * against Hugging Face `generate` if it is at hand; with completions all as long, and with ends of their own.
 */
import { type Contender, gemmRate, havePeers, readRate, threads } from "./harness.js";
import { addRow, size } from "./rows.js";
import { type Served, startOurs, startPeer } from "./served.js";
import { type Lengths, loadArguments, loads, nameOf, naturalLoad, type Shape, savedModel, shapes } from "./shapes.js";

/** Completion tokens and seconds of each contender, summed over repetitions that take turns. */
async function raceTokens(contenders: readonly Served[], repetitions: number, tokens?: number) {
  const rates = new Map<string, number>();
  const sums = new Map(contenders.map(({ name }) => [name, { tokens: 0, seconds: [] as number[] }]));
  for (let repetition = -1; repetition < repetitions; repetition++)
    for (const contender of contenders satisfies readonly Contender[]) {
      const { seconds, tokens: written } = await contender.ask();
      const sum = sums.get(contender.name)!;
      if (repetition < 0) continue;
      sum.tokens += tokens ?? written!;
      sum.seconds.push(seconds);
    }
  for (const [name, { tokens: all, seconds }] of sums) rates.set(name, all / seconds.reduce((a, b) => a + b, 0));
  return rates;
}

async function bench(shape: Shape, lengths: Lengths, peers: boolean, roofs: { gemm: number; read: number }): Promise<void> {
  const { directory, parameters } = await savedModel(shape, "student", lengths);
  const load = lengths === "fixed" ? loads[shape] : naturalLoad(shape);
  const ours = [startOurs("retort", "sample", { directory, load })];
  if (lengths === "fixed")
    ours.push(
      startOurs("retort, new weights each time", "sample-new", { directory, load }),
      startOurs("retort, one run per token", "sample", { directory, load, chunkTokens: 1 }),
    );
  const args = ["--model", directory, "--lengths", lengths, ...loadArguments(load)];
  const peer = peers ? startPeer("generate", "generate.py", args) : undefined;
  const all = [...ours, ...(peer ? [peer] : [])];
  const rates = await raceTokens(all, load.repetitions, lengths === "fixed" ? load.batch * load.fresh : undefined);
  const work = `decode, ${nameOf(shape)}, batch ${load.batch}, ${load.prompt}+${lengths === "fixed" ? "" : "up to "}${load.fresh} tokens`;
  const theirs = peer && rates.get(peer.name)!;
  for (const one of all) {
    const rate = rates.get(one.name)!;
    const gemm = (2 * parameters * rate) / 1e9 / roofs.gemm;
    // All weights are read once for each step of the whole batch.
    const read = (4 * parameters * rate) / load.batch / roofs.read;
    const share = `${(gemm * 100).toFixed(0)} % of the roof of products, ${(read * 100).toFixed(0)} % of that of memory`;
    const against = theirs ? `, ${(rate / theirs).toFixed(2)}x generate` : "";
    console.log(`${work}: ${one.name}: ${rate.toFixed(0)} tokens/s, ${share}, peak RSS ${size(one.peak)}${against}`);
    // The learner that makes the new weights is in the same process: its memory is no student's.
    const isNew = one.name.includes("new weights");
    if (one === peer || one.name.includes("per token")) continue;
    const row = theirs ? { peer: `generate ${theirs.toFixed(0)} tokens/s`, ratio: rate / theirs, peerRss: peer.peak } : {};
    const what = `${work}${isNew ? ", new weights each time" : ""}`;
    addRow({ work: what, ours: `${rate.toFixed(0)} tokens/s`, oursRss: isNew ? undefined : one.peak, ...row });
  }
  for (const one of all) await one.stop();
}

const roofs = { gemm: await gemmRate(), read: await readRate() };
console.log(`decode: ${threads} threads, roofs ${roofs.gemm.toFixed(0)} GFLOP/s and ${(roofs.read / 1e9).toFixed(1)} GB/s`);
const peers = havePeers();
for (const shape of shapes) for (const lengths of ["fixed", "natural"] as const) await bench(shape, lengths, peers, roofs);
