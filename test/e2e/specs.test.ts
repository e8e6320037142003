import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { noteController } from "../../services/cli/known-controllers.js";
import { connectController } from "../../services/cli/local.js";
import { type CliResult, expectClear, retort, startRetort } from "../support/runs/retort.js";

const examples = resolve("deploy/examples/num2words");

describe("a spec, before it runs", () => {
  let directory: string;
  const asked = (...argv: string[]): Promise<CliResult> => retort(argv);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-specs-"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  describe("retort validate", () => {
    it("checks it on this machine where no controller runs, and says so", async () => {
      const { code, stdout, stderr } = await asked("validate", join(examples, "on-policy.yaml"), "--json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "checking here: no controller is running\n" });
      expect(JSON.parse(stdout)).toEqual({ problems: [], warnings: [], checkedBy: "this machine" });
      expect(await readdir(directory)).toEqual([]);
    });

    it("names every problem of models and data with its place in the file", async () => {
      const path = join(directory, "wrong.yaml");
      const models = `student: { model: ${join(examples, "models/student")} }\nteachers: [{ model: nowhere }]\n`;
      await writeFile(path, `name: wrong\n${models}data: { path: nothing.jsonl }\nphases: [{ steps: 1, batchSize: 70000 }]\n`);
      const result = await asked("validate", path);
      expectClear(result, /wrong\.yaml has 4 problems/);
      expect(result.stderr).toMatch(/wrong\.yaml:3:21: teachers\[0\]\.model: .*nowhere/);
      expect(result.stderr).toMatch(/wrong\.yaml:4:15: data\.path: .*nothing\.jsonl/);
      expect(result.stderr).toMatch(/wrong\.yaml:5:10: phases\[0\]\.sampling\.maxNewTokens: is 128, the default, .*64 positions/);
      expect(result.stderr).toMatch(/wrong\.yaml:5:33: phases\[0\]\.batchSize: .*65536/);
    });

    it("asks the controller that is named, and no other", async () => {
      const result = await asked("validate", join(examples, "on-policy.yaml"), "--controller", "127.0.0.1:1");
      expectClear(result, /asking the controller 127\.0\.0\.1:1\n.*127\.0\.0\.1:1/);
    });

    it("checks it on this machine where the controller that runs here goes away meanwhile", async () => {
      const leaving = createServer((socket) => socket.destroy());
      await once(leaving.listen(0, "127.0.0.1"), "listening");
      const address = `127.0.0.1:${(leaving.address() as AddressInfo).port}`;
      const forget = await noteController({ address, page: "", dataDir: directory, pid: process.pid });
      try {
        const { code, stdout, stderr } = await asked("validate", join(examples, "on-policy.yaml"), "--json");
        expect({ code, stderr }).toEqual({
          code: 0,
          stderr: `asking the controller ${address}\nchecking here: that controller is gone\n`,
        });
        expect(JSON.parse(stdout)).toMatchObject({ checkedBy: "this machine" });
      } finally {
        forget();
        leaving.close();
      }
    });
  });

  it("is written by retort init for models and data, and runs as it is; a file that is there stays", async () => {
    const rows = (await readFile(join(examples, "data/train.jsonl"), "utf8")).split("\n").slice(0, 60).join("\n");
    const [data, path] = [join(directory, "sixty.jsonl"), join(directory, "own.yaml")];
    await writeFile(data, rows);
    const models = ["--student", join(examples, "models/student"), "--teacher", join(examples, "models/teacher")];
    const { code, stdout } = await asked("init", ...models, "--data", data, "--out", path, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ spec: path, steps: 50, holdOut: 6, warnings: [] });
    const text = await readFile(path, "utf8");
    expectClear(await asked("init", ...models, "--data", data, "--out", path), /own\.yaml is there already; .*--force/);
    expect(await readFile(path, "utf8")).toBe(text);
    const up = startRetort(["up", "--json", "--port", "0", "--data-dir", join(directory, "data")]);
    try {
      await up.output("stdout", /\n/);
      const run = await asked("run", path, "--json", "--data-dir", join(directory, "data"));
      expect(JSON.parse(run.stdout)).toMatchObject({ run: { state: "RUN_STATE_SUCCEEDED", step: 50 } });
    } finally {
      up.ctrlC();
      await up.ended;
    }
  });

  it("is all that a controller with --check-only looks at", async () => {
    const serving = startRetort(["serve", "--json", "controller", "--check-only=true", "--port=0"]);
    const { address } = JSON.parse(await serving.output("stdout", /\n/)) as { address: string };
    const controller = connectController(address);
    try {
      const { problems } = await controller.validateRun({});
      expect(problems.map(({ field }) => field)).toContain("student");
      const refusal = { code: "FailedPrecondition", message: expect.stringContaining("--check-only") };
      await expect(controller.startRun({})).rejects.toMatchObject(refusal);
      await expect(controller.watchRun({ runId: "any" })[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal);
    } finally {
      controller.close();
      serving.ctrlC();
      await serving.ended;
    }
  });
});
