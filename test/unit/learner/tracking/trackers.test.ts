import { appendFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stepOfEvent } from "../../../../services/learner/tracking/tf-event.js";
import { readTfRecords, tfRecord } from "../../../../services/learner/tracking/tf-record.js";
import { Trackers, type TrackersOptions } from "../../../../services/learner/tracking/trackers.js";
import type { Log } from "../../../../services/shared/base/log.js";
import { Source } from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const warned: string[] = [];
const log = { warn: (_: unknown, message: string) => void warned.push(message) } as unknown as Log;

describe("Trackers", () => {
  let directory: string;
  const open = (fence: bigint, fromStep: number, settings: Partial<TrackersOptions["settings"]> = {}) =>
    Trackers.open({
      directory,
      fence,
      fromStep,
      createdMs: Date.now() - 5000,
      log,
      settings: { jsonl: true, tensorboard: true, ...settings },
    });
  const step = (trackers: Trackers, step: number, loss: number) =>
    trackers.take({ case: "stepFinished", value: { step, loss, completionTokens: 10, phase: "gkd", source: Source.STUDENT, seconds: 2 } });
  const evaluation = (trackers: Trackers, version: number, greedy: number) =>
    trackers.take({ case: "evaluationFinished", value: { version, greedy } });
  const lines = async () =>
    (await readFile(join(directory, "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  /** Steps of all that TensorBoard's files hold of a kind, by what is in an event. */
  const stepsIn = async (tag: string) => {
    const steps: number[] = [];
    const files = join(directory, "tensorboard");
    for (const name of (await readdir(files)).sort())
      for await (const { data } of readTfRecords(join(files, name))) if (data.includes(tag)) steps.push(stepOfEvent(data));
    return steps;
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-track-"));
    warned.length = 0;
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("writes a line per step and per evaluation, with figures by name", async () => {
    const trackers = await open(1n, 0);
    await evaluation(trackers, 0, 0.1);
    await step(trackers, 1, 3);
    await step(trackers, 2, Number.NaN);
    await trackers.close();
    const [first, second, third] = await lines();
    expect(first).toMatchObject({ step: 0, tokens: 0, "evaluation.greedy": 0.1 });
    expect(second).toMatchObject({ step: 1, tokens: 10, phase: "gkd", source: "student", loss: 3, seconds: 2 });
    expect(second.elapsedSeconds).toBeGreaterThanOrEqual(5);
    expect(Date.parse(second.time)).toBeGreaterThan(0);
    expect(third).toMatchObject({ step: 2, tokens: 20, loss: null });
    expect([await stepsIn("train/loss"), await stepsIn("evaluation/greedy")]).toEqual([[1, 2], [0]]);
  });

  it.each([
    ["a checkpoint", 2, [1, 2, 3, 4], [0, 2]],
    ["the beginning", 0, [1, 2], [0]],
    ["the last step", 4, [1, 2, 3, 4, 5, 6], [0, 2, 4]],
  ] as const)("goes on behind %s with each step once, and none lost", async (_, fromStep, expected, evaluated) => {
    const first = await open(1n, 0);
    await evaluation(first, 0, 0.1);
    for (const n of [1, 2, 3, 4]) {
      await step(first, n, n);
      if (n % 2 === 0) await evaluation(first, n, 0.5);
    }
    await first.close();
    const second = await open(2n, fromStep);
    for (const n of [1, 2]) await step(second, fromStep + n, 10 * n);
    await second.close();
    const steps = (await lines()).filter((line) => "loss" in line);
    expect(steps.map((line) => line.step)).toEqual(expected);
    expect(steps.map((line) => line.tokens)).toEqual(expected.map((n) => 10 * n));
    expect(steps.slice(-2).map((line) => line.loss)).toEqual([10, 20]);
    expect(await stepsIn("train/loss")).toEqual(expected);
    expect(await stepsIn("evaluation/greedy")).toEqual(evaluated);
  });

  it("drops what a process that was lost had half written", async () => {
    const first = await open(1n, 0);
    await step(first, 1, 3);
    await first.close();
    const [name] = await readdir(join(directory, "tensorboard"));
    await appendFile(join(directory, "metrics.jsonl"), '{"step":2,"lo');
    await appendFile(join(directory, "tensorboard", name!), tfRecord(Buffer.from("abc")).subarray(0, 9));
    const second = await open(2n, 1);
    await step(second, 2, 2);
    await second.close();
    expect((await lines()).map((line) => line.step)).toEqual([1, 2]);
    expect(await stepsIn("train/loss")).toEqual([1, 2]);
  });

  it("leaves a learner that was replaced an old file to write to", async () => {
    const old = await open(1n, 0);
    await step(old, 1, 3);
    const next = await open(2n, 1);
    await step(old, 2, 99);
    await step(next, 2, 2);
    expect((await lines()).map((line) => line.loss)).toEqual([3, 2]);
    await Promise.all([old.close(), next.close()]);
  });

  it("has an evaluation once that two learners measured", async () => {
    const first = await open(1n, 0);
    await step(first, 1, 3);
    await evaluation(first, 1, 0.5);
    await first.close();
    const second = await open(2n, 1);
    await evaluation(second, 1, 0.5);
    await second.close();
    expect((await lines()).map((line) => line.step)).toEqual([1, 1]);
    expect(await stepsIn("evaluation/greedy")).toEqual([1]);
  });

  it("writes samples as texts", async () => {
    const trackers = await open(1n, 0);
    const value = { step: 3, samples: [{ prompt: "2+2=", tokens: ["fo", "ur"], reference: "four", divergence: [0.5, 0.25] }] };
    await trackers.take({ case: "samplesRecorded", value });
    await trackers.close();
    expect(await stepsIn("    four")).toEqual([3]);
    expect(await stepsIn("samples/0")).toEqual([3]);
  });

  it.each([
    [{ jsonl: false }, ["tensorboard"]],
    [{ tensorboard: false }, ["metrics.jsonl"]],
    [{ jsonl: false, tensorboard: false }, []],
  ])("writes with %j what is left", async (settings, expected) => {
    const trackers = await open(1n, 0, settings);
    await step(trackers, 1, 3);
    await trackers.close();
    expect(await readdir(directory)).toEqual(expected);
    expect(warned).toEqual([]);
  });
});
