import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { announceStart, publishEvent } from "../../services/shared/flow/runs/events.js";
import { newRun, RunStore } from "../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { findChromium, Visitor } from "../browser/support/browser.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

const chromium = findChromium();
if (!chromium) console.warn("skipped: the page is tested in a real browser; install chromium, or name one in CHROMIUM");

/** Steps of the run, and how many of them are told at once. */
const [steps, together] = [50_000, 500];

(chromium ? describe : describe.skip)("the page, of a run of 50,000 steps beside a hundred others", () => {
  let cluster: LocalCluster;
  let visitor: Visitor;

  beforeAll(async () => {
    cluster = await LocalCluster.start();
    visitor = await Visitor.open(chromium ?? "");
    const { streams } = cluster;
    const store = await RunStore.open(streams);
    const spec = parseSpec(tinySpec("long", "phases: [{ preset: on_policy_kd, steps: 50000 }]"), "/spec.yaml");
    const over = { spec, state: RunState.SUCCEEDED, totalSteps: steps, step: steps };
    for (let n = 0; n < 100; n++) await store.create(newRun({ ...over, runId: `old-${n}`, created: timestampFromMs(1e12 + n) }));
    await store.create(newRun({ ...over, runId: "long", created: timestampFromMs(2e12) }));
    await announceStart(streams, "long");
    const finished = (step: number) => {
      const value = {
        step,
        totalSteps: steps,
        loss: 1 + Math.sin(step / 100) / Math.sqrt(step),
        entropy: 1 / step,
        completionTokens: 100,
        seconds: 1,
      };
      return publishEvent(streams, "long", { case: "stepFinished", value }, `step/${step}`);
    };
    for (let first = 1; first <= steps; first += together)
      await Promise.all(Array.from({ length: together }, (_, i) => finished(first + i)));
    await publishEvent(streams, "long", { case: "stateChanged", value: { state: RunState.SUCCEEDED } }, "over");
  });
  afterAll(async () => {
    await visitor?.browser.close();
    await cluster?.stop();
  });

  it("has its curves thinned by the controller, with the whole range of what they stand for", async () => {
    const began = performance.now();
    const { figures, lastStep } = await cluster.controller.readFigures({ runId: "long", maxPoints: 500 });
    const again = performance.now();
    await cluster.controller.readFigures({ runId: "long", maxPoints: 500 });
    console.log(`curves of ${steps} steps: ${Math.round(again - began)} ms, then ${Math.round(performance.now() - again)} ms`);
    expect(lastStep).toBe(steps);
    const loss = figures.find(({ name }) => name === "loss");
    expect(loss?.steps.length).toBeGreaterThan(250);
    for (const { steps: points } of figures) expect(points.length).toBeLessThanOrEqual(500);
    expect(Math.max(...(loss?.greatest ?? []))).toBeCloseTo(
      1 + Math.max(...Array.from({ length: 500 }, (_, i) => Math.sin((i + 1) / 100) / Math.sqrt(i + 1))),
    );
  });

  it("shows its curves, and a list whose rows ask for theirs when they can be seen", async () => {
    const began = performance.now();
    await visitor.visit(`${cluster.page}/#/run/long`, ".chart canvas");
    console.log(`the page of ${steps} steps: its curves after ${Math.round(performance.now() - began)} ms`);
    expect(await visitor.text(".facts dd")).toMatch(/50 000/);
    const asked: string[] = [];
    visitor.page.on("request", (request) => request.url().endsWith("/ReadFigures") && asked.push(request.url()));
    await visitor.visit(`${cluster.page}/#/`, ".runs .spark polyline");
    expect(await visitor.page.$$eval(".runs tbody tr", ({ length }) => length)).toBe(50);
    expect(asked.length).toBeLessThan(50);
    expect(visitor.complaints).toEqual([]);
  });
});
