import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { readRun } from "../../services/cli/report/read-run.js";
import { writeReport } from "../../services/cli/report/write-report.js";
import { newRun, RunStore } from "../../services/shared/flow/runs/run-store.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";
import { retort } from "../support/runs/retort.js";
import { eventually } from "../support/servers/nats.js";
import { findChromium, Visitor } from "./support/browser.js";

const chromium = findChromium();
if (!chromium) console.warn("skipped: the page is tested in a real browser; install chromium, or name one in CHROMIUM");

const body = (divergence: string, steps: number) => `
evaluation: { path: data/held-out.jsonl, limit: 10, everySteps: 5 }
tracking: { samples: 2, everySteps: 2 }
phases: [{ preset: on_policy_kd, objective: { divergence: ${divergence} }, steps: ${steps}, batchSize: 8, sampling: { maxNewTokens: 32 } }]
`;

(chromium ? describe : describe.skip)("the page in a real browser", () => {
  let cluster: LocalCluster;
  let visitor: Visitor;
  let ids: string[];

  const finished = async (name: string, divergence: string): Promise<string> => {
    const { run } = await cluster.watch(await cluster.begin(tinySpec(name, body(divergence, 10))));
    expect(RunState[run.state]).toBe("SUCCEEDED");
    return run.runId;
  };

  /** The address of a report of the two runs. */
  const written = async (): Promise<string> => {
    const report = join(cluster.directory, "report.html");
    const { code, stderr } = await retort(["report", ...ids, "--controller", cluster.address, "--out", report]);
    expect([code, stderr]).toEqual([0, expect.anything()]);
    return pathToFileURL(report).href;
  };

  beforeAll(async () => {
    cluster = await LocalCluster.start();
    visitor = await Visitor.open(chromium ?? "");
    ids = [await finished("forward", "forward_kl"), await finished("reverse", "reverse_kl")];
  });
  afterAll(async () => {
    await visitor?.browser.close();
    await cluster?.stop();
  });
  afterEach(() => expect(visitor.complaints.splice(0)).toEqual([]));

  it("watches a run that goes on, holds it and goes on with it", async () => {
    const runId = await cluster.begin(tinySpec("long", body("jsd", 5000)));
    await visitor.visit(`${cluster.page}/#/run/${runId}`, ".chart");
    const step = async () => Number((await visitor.text(".facts dd")).split("/")[0]?.replace(/\D/g, ""));
    const first = await step();
    await eventually("the page shows later steps", async () => (await step()) > first);
    await visitor.press("Pause");
    await eventually("it is paused", async () => (await visitor.text(".state")).includes("paused"));
    await visitor.shoot("paused");
    await visitor.press("Resume");
    await eventually("it goes on", async () => (await visitor.text(".state")).includes("running"));
    visitor.page.once("dialog", (dialog) => dialog.accept());
    await visitor.press("Stop");
    await eventually("it is stopped", async () => (await visitor.text(".state")).includes("stopped"));
  });

  it("shows what was written before and after, from the controller and from a report alike, and by what changed", async () => {
    const places = [`${cluster.page}/`, await written()].map((base) => `${base}#/run/${ids[0]}/before-after`);
    const found: string[][] = [];
    for (const place of places) {
      await visitor.visit(place, ".beside ins");
      const of = (selector: string) => visitor.page.$$eval(selector, (elements) => elements.map(({ textContent }) => textContent ?? ""));
      const changed = Number(/(\d+) completions changed/.exec(await visitor.text("main"))?.[1]);
      const all = await of(".beside");
      await visitor.choose("Show", "changed");
      const left = await of(".beside");
      expect([all.length, left.length]).toEqual([10, changed]);
      // One of the evaluations was at every step of five, and the completions are those of the versions that are chosen.
      await visitor.choose("Before", "5");
      await visitor.choose("Show", "all");
      expect(await of(".beside")).not.toEqual(all);
      await visitor.choose("Completions", "divergence");
      await visitor.page.waitForSelector(".beside .tokens [style]");
      found.push([...all, ...(await of(".beside"))]);
    }
    expect(found[1]).toEqual(found[0]);
  });

  it("gives a token's values to the keyboard, from the controller and from a report alike", async () => {
    const shown: string[] = [];
    for (const base of [`${cluster.page}/`, await written()]) {
      await visitor.visit(`${base}#/run/${ids[1]}/samples`, ".tokens");
      await visitor.page.focus(".tokens [tabindex='0']");
      for (let i = 0; i < 2; i++) await visitor.page.keyboard.press("ArrowRight");
      shown.push(await visitor.text(".token-values"));
    }
    // Touch, too, on a screen that has it.
    await visitor.page.setViewport({ width: 390, height: 900, hasTouch: true });
    await visitor.page.reload();
    await (await visitor.page.waitForSelector(".tokens [data-n='2']"))?.tap();
    shown.push(await visitor.text(".token-values"));
    expect(shown[2]).toBe(shown[0]);
    expect(shown[0]).toMatch(/^token 3 of \d+ .*divergence \d.*teacher log-prob/);
    expect(shown[1]).toBe(shown[0]);
  });

  const views: readonly (readonly [name: string, selector: string, place: () => string])[] = [
    ["runs", ".runs td", () => ""],
    ["overview", ".chart", () => `run/${ids[1]}`],
    ["samples", ".tokens", () => `run/${ids[1]}/samples`],
    ["timeline", ".timeline rect", () => `run/${ids[1]}/timeline`],
    ["before-after", ".beside ins", () => `run/${ids[1]}/before-after`],
    ["evaluations", "tr.best", () => `run/${ids[1]}/evaluations`],
    ["spec", "pre", () => `run/${ids[1]}/spec`],
    ["compare", ".chart", () => `compare/${ids.join()}`],
  ];
  it.each(views)("shows %s at every width, light and dark, and axe-core finds nothing", (name, selector, place) =>
    visitor.look(`${cluster.page}/#/${place()}`, selector, name),
  );

  it("pages through hundreds of runs, which the controller searches", async () => {
    const { spec } = (await cluster.controller.getRun({ runId: ids[0] })).run!;
    const store = await RunStore.open(cluster.streams);
    const made = (n: number) => ({ runId: `old-${n}`, spec, state: RunState.STOPPED, created: timestampFromMs(1e12 + n), totalSteps: 9 });
    for (let n = 0; n < 120; n++) await store.create(newRun(made(n)));
    await visitor.visit(cluster.page, ".runs td");
    const rows = () => visitor.page.$$eval(".runs tbody th", (found) => found.map(({ textContent }) => textContent ?? ""));
    const shows = (run: string) => eventually(`the list shows ${run}`, async () => (await rows()).includes(run));
    expect([(await rows()).length, (await rows()).slice(-1)]).toEqual([50, [`old-${120 - 50 + (await rows()).indexOf("old-119")}`]]);
    // A choice outlives its page.
    for (const id of ids.slice(0, 1)) await visitor.page.click(`[aria-label='compare ${id}']`);
    await visitor.press("Older →");
    await shows("old-60");
    expect(await rows()).not.toContain("old-119");
    await visitor.shoot("runs-page");
    expect(await visitor.violations()).toEqual([]);
    await visitor.page.click("[aria-label='compare old-60']");
    expect(await visitor.text(".head button")).toBe("Compare 2");
    await visitor.press("Older →");
    await shows("old-0");
    await visitor.press("← Newer");
    await shows("old-60");
    await visitor.write("[type=search]", "OLD-1 on_policy");
    await eventually("those that are found", async () => (await rows()).length === 31);
    await visitor.choose("State", String(RunState.RUNNING));
    await eventually("none is", async () => (await visitor.text("main")).includes("No run matches"));
  });

  it("shows a report's summary first: models in a table, the best bold, and what they write", async () => {
    const runs = await Promise.all(ids.map((id) => readRun(cluster.controller, id)));
    const models = runs.flatMap(({ run, events }) => {
      const evaluations = events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));
      const [start, end] = [evaluations[0], evaluations.at(-1)];
      return start && end ? [{ run, start, end }] : [];
    });
    const summary = {
      title: "Two ways to distil",
      paragraphs: ["One start, two divergences."],
      models: [
        ...models.slice(0, 1).map(({ start }) => ({ name: "start", facts: [["learns from", "nothing"] as const], evaluation: start })),
        ...models.map(({ run, end }) => ({ name: run.spec?.name ?? "", facts: [], evaluation: end, runId: run.runId })),
      ],
    };
    const path = join(cluster.directory, "summary.html");
    await writeReport(path, { summary, runs });
    await visitor.look(pathToFileURL(path).href, ".beside", "summary");
    const best = Math.max(...summary.models.map(({ evaluation }) => evaluation.greedy ?? 0));
    const bold = await visitor.text("tr.best");
    expect(bold).toContain(summary.models.find(({ evaluation }) => evaluation.greedy === best)?.name);
    expect(bold).toMatch(/\d\.\d % \[\d+\.\d, \d+\.\d\]/);
    await visitor.page.click(".evaluations a");
    await visitor.page.waitForSelector(".tabs");
    expect(await visitor.text("h1")).toBe(ids[0]);
  });

  it("keeps losses of different divergences apart, and names what the specs differ in", async () => {
    await visitor.visit(`${cluster.page}/#/compare/${ids.join()}`, ".chart");
    const titles = await visitor.page.$$eval(".chart b", (found) => found.map(({ textContent }) => textContent));
    expect(titles).toEqual(expect.arrayContaining(["loss (forward_kl)", "loss (reverse_kl)", "entropy"]));
    await visitor.page.locator("summary::-p-text(Completions side by side)").click();
    await visitor.page.waitForSelector(".beside ins");
    expect(await visitor.page.$$eval(".beside:first-of-type .columns > div", ({ length }) => length)).toBe(3);
    expect(await visitor.violations()).toEqual([]);
    expect(await visitor.text("[aria-label='Difference of the specs']")).toContain("phases[0].objective.divergence");
  });
});
