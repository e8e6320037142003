/**
 * A whole on-policy step through the services, synchronous and asynchronous, against the best of TRL's trainers: completion
 * tokens per second and memory, with completions all as long and with ends of their own.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { havePeers } from "./harness.js";
import { addRow, size } from "./rows.js";
import { type Figures, type Served, startOurs, startPeer } from "./served.js";
import {
  endless,
  type Lengths,
  type Load,
  lengthsToRace,
  loadArguments,
  loads,
  nameOf,
  naturalLoad,
  promptTexts,
  type Shape,
  savedModel,
  scratch,
  shapes,
} from "./shapes.js";

/** Steps of a run that are not counted: the first ones start the sessions, and JavaScript is slow until it has run some times. */
const warmup = (shape: Shape) => (shape === "tiny" ? 15 : 3);

/** A row of TRL's, and what it has come to. */
interface Rival {
  readonly peer: Served;
  readonly figures: Figures[];
}

const rateOf = (figures: readonly Figures[]): number =>
  figures.reduce((sum, { tokens }) => sum + tokens!, 0) / figures.reduce((sum, { seconds }) => sum + seconds, 0);

/** Tries TRL's rows one after another, ends all but the fastest; none if each came to an end. `tried`: trainer and allocator. */
async function bestRival(args: readonly string[], tried: readonly (readonly [string, string])[]): Promise<Rival | undefined> {
  let best: Rival | undefined;
  for (const [trainer, alloc] of tried) {
    const peer = startPeer(`TRL ${trainer}, ${alloc} allocator`, "on_policy_step.py", [...args, "--trainer", trainer, "--alloc", alloc]);
    const first = await peer
      .ask()
      .then(() => peer.ask())
      .catch((error: Error) => console.log(`  ${error.message}, as for want of memory`));
    if (!first) continue;
    const rival = { peer, figures: [first] };
    const isBetter = !best || rateOf(rival.figures) > rateOf(best.figures);
    console.log(
      `  ${peer.name}: ${rival.figures[0]!.seconds.toFixed(3)} s, ${rateOf(rival.figures).toFixed(0)} tokens/s, peak RSS ${size(peer.peak)}`,
    );
    await (isBetter ? best : rival)?.peer.stop();
    if (isBetter) best = rival;
  }
  return best;
}

/** What TRL can be told: at real size each row takes minutes, and the tuned allocator has been the faster one there. */
const rowsOf = (shape: Shape) =>
  ["gkd", "distillation"].flatMap((trainer) =>
    (shape === "smollm2" ? ["tuned"] : ["default", "tuned"]).map((alloc) => [trainer, alloc] as const),
  );

async function bench(shape: Shape, lengths: Lengths, peers: boolean): Promise<void> {
  const [student, teacher] = [await savedModel(shape, "student", lengths), await savedModel(shape, "teacher", lengths)];
  const load: Load = lengths === "fixed" ? loads[shape] : naturalLoad(shape);
  const prompts = join(scratch, `${shape}-${lengths}.jsonl`);
  const texts = promptTexts(student.tokenizer, load.batch * 8, load.prompt);
  await writeFile(prompts, texts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
  const directories = { student: lengths === "fixed" ? await endless(student) : student.directory, teacher: teacher.directory };
  const work = `on-policy step, ${nameOf(shape)}, batch ${load.batch}, ${load.prompt}+${lengths === "fixed" ? "" : "up to "}${load.fresh} tokens`;
  console.log(work);
  const args = ["--student", student.directory, "--teacher", teacher.directory, "--prompts", prompts, "--lengths", lengths];
  const rival = peers ? await bestRival([...args, ...loadArguments(load)], rowsOf(shape)) : undefined;
  const turn = async () => {
    for (let i = 0; rival && i < Math.ceil(load.repetitions / 3); i++) rival.figures.push(await rival.peer.ask());
  };
  const ours: Figures[] = [];
  for (const maxStaleness of [0, 1]) {
    const service = startOurs("retort", "run", { ...directories, prompts, load, maxStaleness, warmup: warmup(shape), scratch });
    const figures = await service.ask();
    await service.stop();
    await turn();
    ours.push(figures);
    const parts = ["sample", "score", "train", "publish"].map((part) => `${part} ${figures[part]!.toFixed(3)}`).join(", ");
    const memory = `all roles: sum of peaks ${size(figures.sumOfPeaks)}, peak of the sum ${size(figures.peakOfSum)}, ${size(figures.peakPss)} with shared pages once`;
    console.log(
      `  ${maxStaleness ? "asynchronous" : "synchronous"}: ${figures.seconds.toFixed(3)} s (${parts}), ${figures.rate!.toFixed(0)} tokens/s; ${memory}`,
    );
  }
  const [sync, async] = ours as [Figures, Figures];
  console.log(`  asynchronous over synchronous: ${(async.rate! / sync.rate!).toFixed(2)}x`);
  const theirs = rival && rateOf(rival.figures);
  const peerRss = rival?.peer.peak;
  await rival?.peer.stop();
  if (rival && theirs) {
    const share = (sync.peakPss ?? Number.NaN) / (peerRss ?? Number.NaN);
    console.log(
      `  ${rival.peer.name}: ${theirs.toFixed(0)} tokens/s, peak RSS ${size(peerRss)}; synchronous Retort ${(sync.rate! / theirs).toFixed(2)}x its speed, ${share.toFixed(2)}x its memory`,
    );
  }
  for (const [how, figures] of [["", sync] as const, [", asynchronous", async] as const]) {
    const peer =
      rival && theirs ? { peer: `${rival.peer.name} ${theirs.toFixed(0)} tokens/s`, ratio: figures.rate! / theirs, peerRss } : {};
    addRow({ work: `${work}${how}`, ours: `${figures.rate!.toFixed(0)} tokens/s`, oursRss: figures.peakPss, ...peer });
  }
}

const peers = havePeers();
for (const shape of shapes) for (const lengths of lengthsToRace) await bench(shape, lengths, peers);
