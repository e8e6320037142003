import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectController } from "../../services/cli/local.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { digestOfStudent, LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { startRetort } from "../support/runs/retort.js";
import { canMount, onSmallDisk } from "../support/runs/small-disk.js";

const spec = (maxStaleness: number) =>
  tinySpec(
    "unpublished",
    `
rollouts: { maxStaleness: ${maxStaleness} }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: 8
    batchSize: 8
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 0.001 }
`,
  );

const all = Array.from({ length: 8 }, (_, i) => i + 1);
const stepsOf = (events: readonly RunEvent[]) => events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.step] : []));

describe("a version that cannot be published", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  it("in the background ends the run, which says why, keeps what was trained, and goes on when it can be", async () => {
    const runId = await cluster.begin(spec(2));
    const inTheWay = join(cluster.directory, "weights", runId, "6");
    const failed = await cluster.watch(runId, async ({ event }) => {
      // Where version 6 is to lie, there is something else by then.
      if (event.case === "stepFinished" && event.value.step === 1) await writeFile(inTheWay, "");
    });
    expect(failed.run.state).toBe(RunState.FAILED);
    expect(failed.run.message).toContain(inTheWay);
    // What was trained is kept, that version too.
    expect(failed.run.checkpoint!.step).toBeGreaterThanOrEqual(6);
    await rm(inTheWay);
    await cluster.controller.resumeRun({ runId });
    const { run } = await cluster.watch(runId);
    expect([run.message, run.state, run.step]).toEqual(["", RunState.SUCCEEDED, 8]);
  });

  const itMounts = canMount ? it : it.skip;
  if (!canMount) console.warn("skipped: a full disk under the weights; it needs Linux that lets users mount in a namespace of their own");
  itMounts("for want of room waits for it, names the disk, and loses nothing", async () => {
    const { run: undisturbed } = await cluster.watch(await cluster.begin(spec(0)));
    const directory = await mkdtemp(join(tmpdir(), "retort-full-"));
    const weights = join(directory, "weights");
    const roomFile = join(directory, "room");
    await mkdir(weights);
    // There's room for version 0, and not for one more: a version is 16 KiB on the disk, the first one's other files are as much.
    const command = onSmallDisk({ directory: weights, freeBytes: 44 << 10, roomFile }, [process.execPath]);
    const up = startRetort(["up", "--port", "0", "--data-dir", directory, "--force"], {}, command);
    await up.output("stdout", /\n/);
    const controller = connectController((await readFile(join(directory, "address"), "utf8")).trim());
    const { run } = await controller.startRun({ spec: parseSpec(spec(0), resolve("deploy/examples/num2words/test.yaml")) });
    const waits: string[] = [];
    const events: RunEvent[] = [];
    for await (const { event } of controller.watchRun({ runId: run!.runId })) {
      events.push(event!);
      if (event!.event.case !== "waiting" || !event!.event.value.waitsFor.startsWith("room")) continue;
      waits.push(event!.event.value.waitsFor);
      await writeFile(roomFile, "");
    }
    const { run: ended } = await controller.getRun({ runId: run!.runId });
    controller.close();
    up.ctrlC();
    await up.ended;
    expect(waits[0]).toMatch(/^room on the disk of .* for policy version [1-3]$/);
    expect([ended!.message, ended!.state, stepsOf(events)]).toEqual(["", RunState.SUCCEEDED, all]);
    expect(await digestOfStudent(ended!)).toBe(await digestOfStudent(undisturbed));
    await rm(directory, { recursive: true, force: true });
  });
});
