/** Completion tokens per second and memory of a teacher's scoring, against PyTorch's forward if it is at hand. */
import { gemmRate, havePeers, race, threads } from "./harness.js";
import { addRow, size } from "./rows.js";
import { startOurs, startPeer } from "./served.js";
import { loadArguments, loads, nameOf, type Shape, savedModel, shapes } from "./shapes.js";

const top = { kind: "top_k", k: 32, temperature: 1 };

async function bench(shape: Shape, peers: boolean, roof: number): Promise<void> {
  const { directory, parameters } = await savedModel(shape, "teacher");
  const load = loads[shape];
  const length = load.prompt + load.fresh;
  const ours = startOurs("retort, full", "score", { directory, load });
  const some = startOurs("retort, top 32", "score", { directory, load });
  const topped = { name: some.name, measures: true, run: async () => (await some.ask(JSON.stringify(top))).seconds };
  const peer = peers ? startPeer("PyTorch", "score.py", ["--model", directory, ...loadArguments(load)]) : undefined;
  const seconds = await race([ours, topped, ...(peer ? [peer] : [])], Math.ceil(load.repetitions / 2));
  const rss = new Map([ours, some, ...(peer ? [peer] : [])].map((one) => [one.name, one.peak]));
  for (const one of [ours, some, peer]) await one?.stop();
  const flop = 2 * parameters * load.batch * length;
  const first = seconds.get(ours.name)!;
  const work = `scoring, ${nameOf(shape)}, ${load.batch} sequences of ${length} tokens`;
  for (const [name, s] of seconds) {
    const rate = `${Math.round((load.batch * load.fresh) / s)} completion tokens/s, ${((flop / s / 1e9 / roof) * 100).toFixed(0)} % of the roof`;
    const memory = `peak RSS ${size(rss.get(name))}, ${((rss.get(name) ?? Number.NaN) / parameters).toFixed(1)} bytes per parameter`;
    console.log(`${work}: ${name}: ${(s * 1000).toFixed(0)} ms, ${rate}, ${memory}, ${(s / first).toFixed(2)}x the time of retort, full`);
  }
  const theirs = peer && seconds.get(peer.name)!;
  const row = theirs ? { peer: `PyTorch ${(theirs * 1000).toFixed(0)} ms`, ratio: theirs / first, peerRss: rss.get(peer.name) } : {};
  addRow({ work, ours: `${(first * 1000).toFixed(0)} ms`, oursRss: rss.get(ours.name), ...row });
}

const roof = await gemmRate();
console.log(`scoring: ${threads} threads, roof ${roof.toFixed(0)} GFLOP/s`);
const peers = havePeers();
for (const shape of shapes) await bench(shape, peers, roof);
