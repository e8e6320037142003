import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectController, startLocal } from "../../services/cli/local.js";
import { checkSucceeded } from "../../services/cli/runs/runs.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { StepFinished } from "../../services/shared/gen/retort/v1/events_pb.js";
import { havePeers, median, Peer } from "./harness.js";
import { benchModel, type Load, loadArguments, loads, type Shape, saveForPeers, shapes } from "./shapes.js";

/** Steps of a run that are not counted: the first ones start the sessions. */
const warmup = 3;

/** Median seconds of an on-policy step and completion tokens of it, through all the services. */
async function retort(
  student: string,
  teacher: string,
  maxStaleness: number,
  directory: string,
  load: Load,
): Promise<{ seconds: number; tokens: number; figures: StepFinished }> {
  const rows = Array.from({ length: 64 }, (_, row) => ({
    prompt: Array.from({ length: load.prompt }, (_, i) => "abc"[(row * 7 + i * i) % 3]).join(""),
  }));
  await writeFile(join(directory, "prompts.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const spec = {
    name: "bench",
    student: { model: student },
    teachers: [{ model: teacher }],
    data: { path: join(directory, "prompts.jsonl") },
    rollouts: { maxStaleness },
    phases: [
      {
        preset: "gkd",
        lambda: 1,
        steps: warmup + load.repetitions,
        batchSize: load.batch,
        sampling: { maxNewTokens: load.fresh },
        optimizer: { learningRate: 1e-5 },
      },
    ],
  };
  const service = await startLocal({ dataDir: join(directory, "data"), port: 0, natsPort: 0, progress: console.error });
  const controller = connectController(service.address);
  try {
    const { run } = await controller.startRun({ spec: parseSpec(JSON.stringify(spec), join(directory, "spec.yaml")) });
    const found: StepFinished[] = [];
    for await (const { event } of controller.watchRun({ runId: run!.runId }))
      if (event?.event.case === "stepFinished") found.push(event.event.value);
    checkSucceeded((await controller.getRun({ runId: run!.runId })).run!);
    const late = found.slice(warmup);
    const figures = late.toSorted((a, b) => a.seconds - b.seconds)[Math.floor(late.length / 2)]!;
    return { seconds: figures.seconds, tokens: figures.completionTokens, figures };
  } finally {
    controller.close();
    await service.stop();
  }
}

async function bench(shape: Shape, peers: boolean): Promise<void> {
  const [student, teacher] = [await saveForPeers(benchModel(shape, "student")), await saveForPeers(benchModel(shape, "teacher"))];
  const directory = await mkdtemp(join(tmpdir(), "retort-bench-"));
  const load = loads[shape];
  const args = ["--student", student, "--teacher", teacher, ...loadArguments(load)];
  const peer = peers ? new Peer("trl", "gkd_step.py", args) : undefined;
  const trl: number[] = [];
  const rates: Record<string, number> = {};
  for (const maxStaleness of [0, 1]) {
    for (let i = 0; peer && i < Math.ceil(load.repetitions / 3); i++) trl.push(await peer.run());
    const { seconds, tokens, figures } = await retort(student, teacher, maxStaleness, directory, load);
    rates[maxStaleness] = tokens / seconds;
    const parts = [
      `sampling ${figures.sampleSeconds.toFixed(3)}`,
      `scoring ${figures.scoreSeconds.toFixed(3)}`,
      `training ${figures.trainSeconds.toFixed(3)}`,
      `publishing ${figures.publishSeconds.toFixed(3)} s`,
    ];
    console.log(
      `on-policy step ${shape}, maxStaleness ${maxStaleness}: ${seconds.toFixed(3)} s, ${(tokens / seconds).toFixed(0)} tokens/s (${parts.join(", ")})`,
    );
    await rm(join(directory, "data"), { recursive: true, force: true });
  }
  console.log(`on-policy step ${shape}: asynchronous over synchronous: ${(rates[1]! / rates[0]!).toFixed(2)}x`);
  if (peer) {
    const seconds = median(trl.slice(1));
    const rate = (load.batch * load.fresh) / seconds;
    console.log(
      `on-policy step ${shape}: TRL's GKDTrainer ${seconds.toFixed(3)} s, ${rate.toFixed(0)} tokens/s; synchronous Retort over TRL: ${(rates[0]! / rate).toFixed(2)}x`,
    );
    peer.stop();
  }
  for (const made of [student, teacher, directory]) await rm(made, { recursive: true, force: true });
}

const peers = havePeers();
for (const shape of shapes) await bench(shape, peers);
