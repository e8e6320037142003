import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

// One teacher is the student itself, at which the first step must find no divergence; the other is the real one.
const teachers = "teachers: [{ name: words, model: models/teacher }, { name: mirror, model: models/student }]";
const spec = (name: string, data: string) =>
  tinySpec(
    name,
    `
rollouts: { maxStaleness: 0 }
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
phases:
  - preset: on_policy_kd
    steps: 3
    batchSize: 8
    sampling: { maxNewTokens: 16 }
`,
  )
    .replace("teachers: [{ model: models/teacher }]", teachers)
    .replace("data/train.jsonl", data);

describe("a run with two teachers", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(() => cluster.stop());

  const dataOf = async (name: string, teacherOf: (n: number) => string | undefined): Promise<string> => {
    const path = join(cluster.directory, name);
    const rows = Array.from({ length: 8 }, (_, n) => JSON.stringify({ prompt: `${n + 20}=`, teacher: teacherOf(n) }));
    await writeFile(path, rows.join("\n"));
    return path;
  };
  const scored = (metrics: string): number => Number(/^retort_teacher_rollouts_total(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);

  it("has each prompt scored by the teacher that its row names, and by the first where it names none", async () => {
    const runId = await cluster.begin(spec("both", await dataOf("both.jsonl", (n) => (n < 4 ? "mirror" : undefined))));
    let counts: number[] = [];
    const { run, events } = await cluster.watch(runId, async ({ event }) => {
      if (event.case === "stepFinished" && event.value.step === 2) counts = (await cluster.metricsOf(runId, "teacher")).map(scored);
    });
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    // A step is one task for each of them.
    expect(counts).toHaveLength(2);
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(2);
    for (const { event } of events)
      if (event.case === "stepFinished") expect([event.value.sequences, event.value.failedPrompts]).toEqual([8, 0]);
  });

  it("reports and weighs each teacher by itself, and says how much of the way to it is recovered", async () => {
    const data = await dataOf("weighed.jsonl", (n) => (n < 6 ? "mirror" : "words"));
    const text = spec("weighed", data)
      .replace("{ name: words,", "{ name: words, weight: 3,")
      .replace("- preset: on_policy_kd", "- preset: on_policy_kd\n    objective: { balance: teachers, signal: full }")
      .replace("rollouts:", "evaluation: { path: data/held-out.jsonl, limit: 8, headroom: true, maxNewTokens: 32 }\nrollouts:");
    const { run, events } = await cluster.watch(await cluster.begin(text));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const [step] = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    const shares = Object.fromEntries(step!.teachers.map((share) => [share.name, share]));
    expect(shares).toMatchObject({
      mirror: { sequences: 6, lossShare: expect.closeTo(0.25, 6) },
      words: { sequences: 2, lossShare: expect.closeTo(0.75, 6) },
    });
    // The student has nothing to learn from itself, and all of its most probable classes.
    expect(Math.abs(shares.mirror!.divergence)).toBeLessThan(1e-5);
    expect(shares.words!.divergence).toBeGreaterThan(1e-3);
    expect(step!.topOverlap).toBeGreaterThan(0.5);
    // Rows of the held-out file name no teacher, so the first one scores them all.
    const evaluations = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
    expect(evaluations.map(({ teachers }) => teachers.map(({ name, prompts }) => [name, prompts]))).toEqual([
      [["words", 8]],
      [["words", 8]],
    ]);
    const [before, after] = evaluations.map(({ teachers }) => teachers[0]!);
    expect(before!.teacherGreedy).toBeGreaterThan(before!.greedy!);
    expect(before!.recovered).toBe(0);
    const { teacherGreedy, greedy, recovered } = after!;
    expect(teacherGreedy).toBe(before!.teacherGreedy);
    expect(recovered).toBeCloseTo((greedy! - before!.greedy!) / (teacherGreedy! - before!.greedy!), 12);
    for (const { greedyConfidence, samples } of evaluations) {
      expect(greedyConfidence).toBeGreaterThan(0);
      expect(samples[0]!.calibrationError).toBeGreaterThanOrEqual(0);
    }
  });

  it("mixes an ensemble's distributions, whatever is sent of them", async () => {
    const phase = (signal: string) => `
  - steps: 1
    batchSize: 8
    lambda: 1
    objective: { divergence: forward_kl, signal: ${signal}, topK: 6, hiddenDtype: float32 }
    sampling: { maxNewTokens: 16 }
    optimizer: { learningRate: 1.0e-9 }`;
    const data = await dataOf("mixed.jsonl", (n) => (n < 4 ? "mirror" : "words"));
    const text = spec("mixed", data)
      .replace("model: models/teacher }", "model: models/teacher, ensemble: [{ model: models/student, weight: 3 }] }")
      .replace("model: models/student }]", "model: models/student, ensemble: [{ model: models/student, weight: 0.5 }] }]")
      .replace(/phases:.*/s, `phases:${["full", "hidden", "top_k", "student_top_k"].map(phase).join("")}`);
    const { run, events } = await cluster.watch(await cluster.begin(text));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const steps = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(steps).toHaveLength(4);
    const divergences = steps.map(({ teachers }) => Object.fromEntries(teachers.map(({ name, divergence }) => [name, divergence])));
    for (const { mirror, words } of divergences) {
      // A mixture of the student with itself is the student; with the other model, no nearer than a quarter of the way.
      expect(Math.abs(mirror!)).toBeLessThan(1e-5);
      expect(words).toBeGreaterThan(1e-3);
    }
  });

  it("compares with the named teacher's distribution, not with another's", async () => {
    const { events } = await cluster.watch(await cluster.begin(spec("mirror", await dataOf("mirror.jsonl", () => "mirror"))));
    const [first] = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value] : []));
    expect(Math.abs(first!.divergence)).toBeLessThan(1e-5);
  });
});
