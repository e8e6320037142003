import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { newRun } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { ControllerBench } from "../../support/runs/controller-bench.js";
import { example } from "../../support/runs/run-bench.js";

const spec = (name = "asked", seed = 5): RunSpec =>
  parseSpec(
    `
name: ${name}
seed: ${seed}
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: data/train.jsonl }
phases: [{ preset: on_policy_kd, steps: 4, sampling: { maxNewTokens: 16 } }]`,
    example("spec.yaml"),
  );

describe("StartRun with a request id", () => {
  let bench: ControllerBench;
  beforeAll(async () => {
    bench = await ControllerBench.start();
  });
  afterAll(() => bench.stop());

  const start = async (requestId: string, asked = spec()) => (await bench.client.startRun({ spec: asked, requestId })).run!;
  const count = async () => (await bench.client.listRuns({})).runs.length;

  it("returns the same run to the same request, whatever became of it", async () => {
    const run = await start("first");
    expect(run).toMatchObject({ requestId: "first", state: RunState.PENDING });
    expect((await start("first")).runId).toBe(run.runId);
    await bench.launcher.end(run.runId, "learner", 70, "it was ended");
    expect(await start("first")).toMatchObject({ runId: run.runId, state: RunState.FAILED });
    expect(bench.launcher.launched.filter(({ runId }) => runId === run.runId)).toHaveLength(1);
  });

  it("starts one run where the request is made many times at once", async () => {
    const before = await count();
    const runs = await Promise.all(Array.from({ length: 5 }, () => start("together")));
    expect(new Set(runs.map(({ runId }) => runId)).size).toBe(1);
    expect(await count()).toBe(before + 1);
    expect(bench.launcher.launched.filter(({ runId }) => runId === runs[0]!.runId)).toHaveLength(1);
  });

  it.each([
    ["seed", spec("asked", 6)],
    ["name", spec("other")],
  ])("refuses the id with another %s", async (_, other) => {
    const run = await start("taken");
    const before = await count();
    await expect(start("taken", other)).rejects.toMatchObject({
      code: "AlreadyExists",
      message: expect.stringContaining(run.runId),
      problems: [{ fieldPath: "requestId" }],
    });
    expect(await count()).toBe(before);
  });

  it("makes the run that a request has claimed, if whoever claimed it died before", async () => {
    const lost = await start("died");
    const claim = await bench.runs.claimed("died");
    await bench.launcher.end(lost.runId, "learner", 70, "");
    await bench.runs.delete(lost.runId);
    expect(await bench.runs.claimed("died")).toBeUndefined();
    await bench.runs.claim("died", { ...claim!, runId: "asked-by-the-dead" });
    expect(await start("died")).toMatchObject({ runId: "asked-by-the-dead", state: RunState.PENDING });
  });

  it("starts another run once the first one is deleted", async () => {
    const { runId } = await start("deleted");
    await bench.launcher.end(runId, "learner", 70, "");
    await bench.client.deleteRun({ runId });
    const again = await start("deleted", spec("asked", 7));
    expect(again.runId).not.toBe(runId);
    expect(again.state).toBe(RunState.PENDING);
  });

  it("starts nothing, and claims nothing, where the spec is wrong", async () => {
    const wrong = spec();
    wrong.student!.model = "/nowhere/student";
    await expect(start("wrong", wrong)).rejects.toMatchObject({ code: "InvalidArgument", problems: [{ fieldPath: "student.model" }] });
    expect((await start("wrong")).state).toBe(RunState.PENDING);
  });

  it.each(["a b", "a.b", "x".repeat(129), "ü"])("refuses an id of other characters: %s", async (requestId) => {
    await expect(start(requestId)).rejects.toMatchObject({ code: "InvalidArgument", problems: [{ fieldPath: "requestId" }] });
  });

  it("starts a run for every request without an id", async () => {
    expect((await start("")).runId).not.toBe((await start("")).runId);
  });
});

describe("ListRuns", () => {
  let bench: ControllerBench;
  const ids = (runs: readonly { readonly runId: string }[]) => runs.map(({ runId }) => runId);
  // Two of each second, so that order goes by the id too.
  const made = Array.from({ length: 9 }, (_, i) => ({
    runId: `run-${i}`,
    state: [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED][i % 3]!,
    name: i < 4 ? "old" : "new",
    created: timestampFromDate(new Date(1_760_000_000_000 + 1000 * Math.floor(i / 2))),
  }));
  const newestFirst = ["run-8", "run-6", "run-7", "run-4", "run-5", "run-2", "run-3", "run-0", "run-1"];

  beforeAll(async () => {
    bench = await ControllerBench.start();
    for (const { name, ...run } of made) await bench.runs.create(newRun({ ...run, spec: spec(name) }));
  });
  afterAll(() => bench.stop());

  it("returns all, newest first, to whoever asks for nothing else", async () => {
    const { runs, nextPageToken } = await bench.client.listRuns({});
    expect([ids(runs), nextPageToken]).toEqual([newestFirst, ""]);
  });

  it.each([1, 2, 4, 9, 10])("returns each once by pages of %s", async (pageSize) => {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await bench.client.listRuns({ pageSize, pageToken });
      expect(page.runs.length).toBe(Math.min(pageSize, newestFirst.length - seen.length));
      seen.push(...ids(page.runs));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen).toEqual(newestFirst);
  });

  it("goes on behind a run that was deleted meanwhile, and tells of no new one", async () => {
    const passing = { states: [RunState.FAILED, RunState.STOPPED] };
    const first = await bench.client.listRuns({ ...passing, pageSize: 2 });
    expect(ids(first.runs)).toEqual(["run-8", "run-7"]);
    await bench.client.deleteRun({ runId: "run-7" });
    await bench.runs.create(newRun({ ...made[7]!, created: timestampFromDate(new Date()), spec: spec("new") }));
    const next = await bench.client.listRuns({ ...passing, pageSize: 2, pageToken: first.nextPageToken });
    expect(ids(next.runs)).toEqual(["run-4", "run-5"]);
    // As it was.
    await bench.client.deleteRun({ runId: "run-7" });
    const { name: _, ...seventh } = made[7]!;
    await bench.runs.create(newRun({ ...seventh, spec: spec("new") }));
  });

  it.each([
    [{ states: [RunState.SUCCEEDED] }, ["run-6", "run-3", "run-0"]],
    [{ states: [RunState.FAILED, RunState.STOPPED] }, ["run-8", "run-7", "run-4", "run-5", "run-2", "run-1"]],
    [{ states: [RunState.RUNNING] }, []],
    [{ name: "old" }, ["run-2", "run-3", "run-0", "run-1"]],
    [{ name: "old", states: [RunState.SUCCEEDED] }, ["run-3", "run-0"]],
    [{ name: "ol" }, []],
    [{ search: "OLD" }, ["run-2", "run-3", "run-0", "run-1"]],
    [{ search: " run  old -3 " }, ["run-3"]],
    [{ search: "old new" }, []],
  ])("lets pass what %j says", async (filter, expected) => {
    expect(ids((await bench.client.listRuns(filter)).runs)).toEqual(expected);
  });

  it("refuses a token of other filters, and one that is none", async () => {
    const { nextPageToken } = await bench.client.listRuns({ pageSize: 1, name: "old" });
    for (const request of [{ pageToken: nextPageToken }, { pageToken: "nonsense" }, { pageToken: nextPageToken, name: "new" }])
      await expect(bench.client.listRuns({ pageSize: 1, ...request })).rejects.toMatchObject({
        code: "InvalidArgument",
        problems: [{ fieldPath: "pageToken" }],
      });
    await expect(bench.client.listRuns({ states: [RunState.UNSPECIFIED] })).rejects.toMatchObject({ code: "InvalidArgument" });
  });
});
