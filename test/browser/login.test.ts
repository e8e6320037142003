import { resolve } from "node:path";
import { LocalCluster } from "../support/runs/local-run.js";
import { eventually } from "../support/servers/nats.js";
import { findChromium, Visitor } from "./support/browser.js";

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
  // The browser itself notes each answer that was refused, or lost.
  afterEach(() => expect(visitor.complaints.splice(0).filter((one) => !/401|ERR_CONNECTION_RESET/.test(one))).toEqual([]));

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
    await visitor.page.waitForSelector(".remarks li");
    const rows = await visitor.page.$$eval(".remarks li", (found) => found.map(({ textContent }) => textContent ?? ""));
    expect(rows).toEqual([
      expect.stringMatching(/^line 4.*data\.path.*trian/),
      expect.stringMatching(/^line 6.*phases\[0\]\.preset.*did you mean on_policy_kd/),
      expect.stringMatching(/^line 7.*phases\[0\]\.stepps.*did you mean steps/),
    ]);
    await visitor.press("line 7");
    const selected = "document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)";
    expect(await visitor.page.evaluate(selected)).toBe("    stepps: 5000");
    await visitor.lookHere("start");
  });

  it("says what a run will take", async () => {
    await visitor.write("#spec", spec);
    await visitor.press("Check");
    await visitor.page.waitForSelector(".plan");
    expect(await visitor.text(".plan")).toMatch(/student.*3\D264.*on_policy_kd.*5\D000.*≤ 64/s);
    await visitor.lookHere("plan");
  });

  it("starts one run and shows it, though the answer is lost, and the button is pressed again, and twice", async () => {
    await visitor.loseAnswer("StartRun");
    await visitor.press("Start");
    await visitor.page.waitForSelector("#said .trouble", { timeout: 60_000 });
    await visitor.page.click("button.primary", { count: 2 });
    await visitor.page.waitForSelector(".state.running", { timeout: 60_000 });
    expect(await visitor.page.evaluate("location.hash")).toMatch(/^#\/run\/from-the-page-/);
    expect((await cluster.controller.listRuns({})).runs.length).toBe(1);
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
