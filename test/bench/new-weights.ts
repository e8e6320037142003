/**
 * New weights on their way: seconds in which a learner publishes a version, and a student has it, from the fetch to its first
 * token; through a directory that machines share, one of this machine, and NATS. All weights are new each time, as after a training step.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TrainHost } from "../../services/learner/model/train-host.js";
import { spawnWorker } from "../../services/shared/base/workers.js";
import { DirectoryStore } from "../../services/shared/flow/weights/directory-store.js";
import { NatsStore } from "../../services/shared/flow/weights/nats-store.js";
import type { WeightStore } from "../../services/shared/flow/weights/store.js";
import { weightsFilesOf } from "../../services/shared/ml/models/checkpoint/open.js";
import { StudentModel } from "../../services/student/student-model.js";
import { TestNats } from "../support/servers/nats.js";
import { median, threads } from "./harness.js";
import { addRow, size } from "./rows.js";
import { loads, nameOf, type Shape, savedModel, scratch, shapes, tokenRows } from "./shapes.js";
import { trainerOptions } from "./worker.js";

/** Versions that are counted, after one that isn't. */
const versions = 5;

async function timed<T>(work: () => Promise<T>): Promise<{ readonly s: number; readonly value: T }> {
  const start = performance.now();
  const value = await work();
  return { s: (performance.now() - start) / 1000, value };
}

async function bench(shape: Shape, kind: string, store: WeightStore): Promise<void> {
  const { directory, parameters } = await savedModel(shape, "student");
  const learner = spawnWorker<TrainHost>(new URL("../../services/learner/model/train-worker.js", import.meta.url));
  await learner.api.open({ directory }, trainerOptions);
  const student = new StudentModel({ device: "cpu", threads, chunkTokens: 64, maxRows: 64 } as ConstructorParameters<
    typeof StudentModel
  >[0]);
  const put = async (version: number, whole: boolean) => {
    const staged = await store.stage("bench", 1n);
    // As a learner does.
    const hashed = whole || (await store.needsDigests("bench"));
    const files = await learner.api.writeVersion(staged, whole, { hashed });
    await store.put("bench", version, files, 1n);
    return weightsFilesOf(files.map(({ name }) => name));
  };
  const holding = store.holding("bench", "student");
  const weights = await put(0, true);
  await store.fetch("bench", 0, join(holding, "0"));
  await student.open({ directory: join(holding, "0") });
  const { batch, prompt } = loads[shape];
  const requests = tokenRows(batch, prompt).map((promptIds, i) => ({ promptIds, seed: BigInt(i) }));
  const first = () => student.sample(requests, { temperature: 1, topK: 0, topP: 1, maxNewTokens: 1 });
  await first();
  const times = { publish: [] as number[], fetch: [] as number[], take: [] as number[], token: [] as number[], again: [] as number[] };
  for (let version = 1; version <= versions + 1; version++) {
    const publish = (await timed(() => put(version, false))).s;
    const directory = join(holding, String(version));
    const got = await timed(() => store.place("bench", version, directory, (file) => weights.includes(file)));
    const take = (await timed(() => Promise.all([student.useWeights(directory), got.value.checked]))).s;
    const [token, again] = [(await timed(first)).s, (await timed(first)).s];
    if (version > 1)
      for (const [name, s] of Object.entries({ publish, fetch: got.s, take, token, again })) times[name as keyof typeof times].push(s);
    await store.delete("bench", version);
    await rm(directory, { recursive: true });
  }
  const all = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)])) as Record<keyof typeof times, number>;
  // The token itself is written with the old weights too: what the new ones add is the rest.
  const student_s = all.fetch + all.take + all.token - all.again;
  const bytes = size(4 * parameters);
  const s = (x: number) => `${x.toFixed(3)} s`;
  const work = `new weights, ${nameOf(shape)}, ${bytes} by ${kind}`;
  console.log(
    `${work}: published in ${s(all.publish)}; a student's first token is later by ${s(student_s)} (placed ${s(all.fetch)}, checked and taken ${s(all.take)}, first token ${s(all.token)} instead of ${s(all.again)})`,
  );
  addRow({ work, ours: `published in ${s(all.publish)}, in the student in ${s(student_s)}` });
  await student.close();
  await learner.close();
  await store.deleteAll("bench");
}

for (const shape of shapes) {
  const newStore = () => mkdtemp(join(scratch, "store-"));
  await bench(shape, "directory", new DirectoryStore(await newStore()));
  await bench(shape, "directory of one machine", new DirectoryStore(await newStore(), { oneMachine: true }));
  const nats = await TestNats.start();
  await bench(shape, "NATS", new NatsStore(await nats.connect(), await newStore()));
  await nats.stop();
}
