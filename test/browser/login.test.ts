import { resolve } from "node:path";
import { LocalCluster } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";
import { findChromium, shotThemes, Visitor } from "./support/browser.js";

const chromium = findChromium();
if (!chromium) console.warn("skipped: the page is tested in a real browser; install chromium, or name one in CHROMIUM");

const example = (path: string): string => resolve("deploy/examples/num2words", path);
const spec = `name: from-the-page
student: { model: ${example("models/student")} }
teachers: [{ model: ${example("models/teacher")} }]
data: { path: ${example("data/train.jsonl")} }
phases:
  - preset: on_policy_kd
    steps: 5000
    batchSize: 8
    sampling: { maxNewTokens: 8 }
`;

(chromium ? describe : describe.skip)("the page of a controller that asks for a token", () => {
  let cluster: LocalCluster;
  let visitor: Visitor;

  beforeAll(async () => {
    cluster = await LocalCluster.start("the right one");
    visitor = await Visitor.open(chromium ?? "");
  });
  afterAll(async () => {
    await visitor?.browser.close();
    await cluster?.stop();
    delete process.env.RETORT_TOKEN;
  });
  // The browser itself notes each answer that was refused.
  afterEach(() => expect(visitor.complaints.splice(0).filter((one) => !one.includes("401"))).toEqual([]));

  const enter = async (token: string) => {
    await visitor.page.type(".login input", token);
    await visitor.page.keyboard.press("Enter");
  };
  const kept = () => visitor.page.evaluate("[sessionStorage.length, localStorage.length]") as Promise<number[]>;

  it("asks for one, at every width, light and dark, and axe-core finds nothing", async () => {
    await visitor.look(`${cluster.page}/`, ".login", "login");
  });

  it("says that a token is wrong, and keeps none of it", async () => {
    await enter("another one");
    await visitor.page.waitForSelector(".login .trouble");
    expect(await visitor.text(".trouble")).toContain("doesn't know this token");
    expect(await visitor.violations()).toEqual([]);
    expect(await kept()).toEqual([0, 0]);
  });

  it("takes the right one, until the tab is closed", async () => {
    await enter("the right one");
    await visitor.page.waitForSelector("[type=search]");
    expect(await kept()).toEqual([1, 0]);
    await visitor.page.reload();
    await visitor.page.waitForSelector("[type=search]");
    expect(await visitor.page.$(".login")).toBeNull();
    const other = await visitor.browser.newPage();
    await other.goto(cluster.page);
    await other.waitForSelector(".login");
    await other.close();
  });

  it("says what is wrong with a spec at its lines, and goes there", async () => {
    await visitor.visit(`${cluster.page}/#/start`, "#spec");
    await visitor.write(
      "#spec",
      spec.replace("steps:", "stepps:").replace("on_policy_kd", "on_polcy_kd").replace("data/train", "data/trian"),
    );
    await visitor.press("Check");
    await visitor.page.waitForSelector(".notes");
    const rows = await visitor.page.$$eval(".notes tr", (found) => found.map(({ textContent }) => textContent ?? ""));
    expect(rows).toEqual([
      expect.stringMatching(/^line 4.*data\.path.*trian/),
      expect.stringMatching(/^line 6.*phases\[0\]\.preset.*did you mean on_policy_kd/),
      expect.stringMatching(/^line 7.*phases\[0\]\.stepps.*did you mean steps/),
    ]);
    await visitor.press("line 7");
    const selected = "document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)";
    expect(await visitor.page.evaluate(selected)).toBe("    stepps: 5000");
    for (const theme of shotThemes) {
      await visitor.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
      for (const width of [390, 1280]) {
        await visitor.page.setViewport({ width, height: 900 });
        await visitor.shoot(`start-${width}-${theme}`);
        expect([width, theme, await visitor.overflow(), await visitor.violations()]).toEqual([width, theme, 0, []]);
      }
    }
  });

  it("starts a run, and shows it", async () => {
    await visitor.write("#spec", spec);
    await visitor.press("Start");
    await visitor.page.waitForSelector(".state.running", { timeout: 60_000 });
    expect(await visitor.page.evaluate("location.hash")).toMatch(/^#\/run\/from-the-page-/);
    visitor.page.once("dialog", (dialog) => dialog.accept());
    await visitor.press("Stop");
    await eventually("it is stopped", async () => (await visitor.text(".state")).includes("stopped"));
  });

  it("forgets the token when asked to", async () => {
    await visitor.press("Log out");
    await visitor.page.waitForSelector(".login");
    expect(await kept()).toEqual([0, 0]);
  });
});
