import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { publish } from "../../services/shared/base/streams/publish.js";
import { type RunEvent, RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec, type Watched } from "../support/local-run.js";
import { badFiles, badJudges, flipBit, newestCheckpoint, serveJudge, slowJudge } from "../support/poison.js";

const example = resolve("deploy/examples/num2words");

/** A short run; further keys may be added, and keys of the phase. */
const spec = (name: string, more = "", phase = ""): string =>
  tinySpec(
    name,
    `
checkpoints: { everySteps: 1, keep: 3 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases: [{ preset: on_policy_kd, steps: 3, batchSize: 4, sampling: { maxNewTokens: 6 } ${phase} }]
${more}`,
  );

const rewarded = (name: string, reward: string, more = ""): string =>
  spec(name, `rewards: [${reward}]\n${more}`).replace("on_policy_kd", "rl_gkd").replace("batchSize", "samplesPerPrompt: 2, batchSize");

const failuresOf = ({ events }: Watched): string[] =>
  events.flatMap(({ event }) => (event.case === "taskFailed" ? [event.value.reason] : []));

// Whatever a run is fed with: its outcome is recorded, or it ends and says why; in time, and alone.
describe("poison", () => {
  let cluster: LocalCluster;
  let directory: string;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
    directory = await mkdtemp(join(tmpdir(), "retort-poison-"));
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  });

  /** A run to its end, which must come. */
  const ended = async (text: string, onEvent?: (event: RunEvent, runId: string) => Promise<void>): Promise<Watched> => {
    const runId = await cluster.begin(text);
    return cluster.watch(runId, (event) => onEvent?.(event, runId));
  };
  const expectFailed = ({ run }: Watched, reason: RegExp) => {
    expect(run.message).toMatch(reason);
    expect(run.state).toBe(RunState.FAILED);
  };
  const expectSucceeded = ({ run }: Watched) => {
    expect(run.message).toBe("");
    expect([run.state, run.step]).toEqual([RunState.SUCCEEDED, run.totalSteps]);
  };

  describe("a judge elsewhere", () => {
    const reasons: Readonly<Record<string, RegExp>> = {
      throws: /the judge has crashed/,
      silent: /step 1: .*127\.0\.0\.1|step 1: waited/,
      "says NaN": /NaN/,
      "says infinity": /Infinity/,
      "says one too few": /\d rewards for \d/,
      "says nothing": /0 rewards for/,
      "says one too many": /\d rewards for \d/,
    };
    it.each(Object.keys(badJudges))("that %s ends the run with the reason", async (name) => {
      const judge = await serveJudge(badJudges[name]!);
      try {
        const reward = `{ kind: external, address: "${judge.address}" }`;
        expectFailed(await ended(rewarded("judge", reward, "rollouts: { stepTimeoutMs: 3000 }")), reasons[name]!);
      } finally {
        await judge.stop();
      }
    });

    it("that is slow, or away for a while, is waited for", async () => {
      const slow = slowJudge(300);
      const judge = await serveJudge((request, call) => (call <= 2 ? badJudges.throws!(request, call) : slow(request, call)));
      try {
        expect((await ended(rewarded("slow", `{ kind: external, address: "${judge.address}" }`))).run.step).toBeGreaterThanOrEqual(0);
      } finally {
        await judge.stop();
      }
    });
  });

  it("a pattern that backtracks without end costs its samples, not the run's other work", async () => {
    const watched = await ended(rewarded("regex", `{ kind: exact_match }, { kind: regex, pattern: "^(([a-z])+.)+[A-Z]([a-z ])+$" }`));
    expect([RunState.SUCCEEDED, RunState.FAILED]).toContain(watched.run.state);
  });

  it("prompts that are longer than the model takes are left out, and said so", async () => {
    const rows = [`${"9".repeat(5000)}=`, "7=", "12=", "30=", "41="].map((prompt) => JSON.stringify({ prompt }));
    const path = join(directory, "long.jsonl");
    await writeFile(path, `${rows.join("\n")}\n`);
    const watched = await ended(spec("long").replace("data/train.jsonl", path));
    expectSucceeded(watched);
    const ready = watched.events.flatMap(({ event }) => (event.case === "datasetReady" ? [event.value] : []));
    const dropped = Object.values(ready[0]!.dropped).reduce((sum, count) => sum + count, 0);
    expect(dropped + failuresOf(watched).length).toBeGreaterThan(0);
  });

  describe("a teacher", () => {
    const teacherWith = async (name: string, spoil: (path: string) => Promise<void>): Promise<string> => {
      const path = join(directory, name);
      await cp(join(example, "models/teacher"), path, { recursive: true });
      await spoil(path);
      return spec("teacher").replace("models/teacher", path);
    };
    /** Overwrites the file's numbers from the middle on with what is no number. */
    const notANumber = async (path: string) => {
      const file = join(path, "model.safetensors");
      const bytes = await readFile(file);
      bytes.fill(0xff, bytes.length >> 1);
      await writeFile(file, bytes);
    };

    it("whose weights are no numbers ends the run with the reason", async () => {
      expectFailed(await ended(await teacherWith("nan", notANumber)), /NaN|not finite|no number/);
    });

    it("whose file is cut short is refused, or ends the run with the reason", async () => {
      const text = await teacherWith("short", async (path) => {
        const file = join(path, "model.safetensors");
        await writeFile(file, (await readFile(file)).subarray(0, 5000));
      });
      const outcome = await ended(text).then(
        ({ run }) => run.message,
        (error: Error) => error.message,
      );
      expect(outcome).toMatch(/model\.safetensors/);
    });
  });

  it("a stored version with a bit turned over is never sampled from", async () => {
    const watched = await ended(spec("bit").replace("steps: 3", "steps: 6"), async ({ event }, runId) => {
      if (event.case !== "stepFinished" || event.value.step !== 2) return;
      await flipBit(join(cluster.directory, "weights", runId, "2", "model.safetensors")).catch(() => {});
    });
    // Either nobody had to load it any more, or it is said.
    if (watched.run.state === RunState.SUCCEEDED) expectSucceeded(watched);
    else expectFailed(watched, /digest|model\.safetensors/);
  });

  describe("a checkpoint with", () => {
    it.each(Object.keys(badFiles))("%s is not gone on from: an older one is, and that is said", async (name) => {
      const runId = await cluster.begin(spec("checkpoint").replace("steps: 3", "steps: 40"));
      await cluster.watch(runId, async ({ event }) => {
        if (event.case === "stepFinished" && event.value.step === 4) await cluster.controller.stopRun({ runId });
      });
      const newest = await newestCheckpoint(cluster.directory, runId);
      await badFiles[name]!(newest);
      await cluster.controller.resumeRun({ runId });
      const watched = await cluster.watch(runId);
      expectSucceeded(watched);
      const step = Number(/(\d+)$/.exec(newest)![1]);
      const started = watched.events.flatMap(({ event }) => (event.case === "learnerStarted" ? [event.value] : []));
      expect(started.at(-1)!.fromStep).toBe(step - 1);
      expect(watched.events.some(({ event }) => event.case === "warning" && event.value.message.includes(newest))).toBe(true);
    });
  });

  it("bytes that are no record, under every subject of a run, neither hang it nor end another", async () => {
    const other = cluster.begin(spec("other").replace("steps: 3", "steps: 30"));
    const rubbish = (subject: string, id: string) =>
      publish(cluster.streams, subject, Uint8Array.of(255, 255, 255), { messageId: `rubbish/${id}/${subject}` }).catch(() => {});
    const kv = await cluster.streams.kv.open("retort_runs");
    const poisoned = await ended(spec("rubbish").replace("steps: 3", "steps: 30"), async ({ event }, runId) => {
      if (event.case !== "stepFinished" || event.value.step !== 3) return;
      const subjects = [
        ...["prompts", "rollouts", "results", "events"].map((stream) => `retort.${stream}.${runId}.rubbish`),
        `retort.prompts.${runId}.student.9.0`,
        `retort.rollouts.${runId}.default.9.0`,
        `retort.rollouts.${runId}.none.9.0`,
        ...["rollout", "score", "reward"].flatMap((kind) => [
          `retort.results.${runId}.9.0.${kind}`,
          `retort.results.${runId}.1.9.0.${kind}`,
        ]),
        `retort.events.${runId}.stepFinished`,
      ];
      for (const subject of subjects) await rubbish(subject, runId);
      for (const key of ["policy", "control", "roles.rubbish"]) await kv.put(`${runId}.${key}`, Uint8Array.of(255, 254, 253));
      await kv.put("rubbish", Uint8Array.of(255, 255, 255));
    });
    expect([RunState.SUCCEEDED, RunState.FAILED]).toContain(poisoned.run.state);
    if (poisoned.run.state === RunState.FAILED) expect(poisoned.run.message).not.toBe("");
    expectSucceeded(await cluster.watch(await other));
    expect((await cluster.controller.listRuns({})).runs.length).toBeGreaterThan(2);
  });
});
