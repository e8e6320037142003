import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectController, mainProgram, startLocal } from "../../services/cli/local.js";
import { RetortError } from "../../services/shared/base/errors.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { tinySpec } from "../support/runs/local-run.js";

const marked = {
  RETORT_TOKEN: "mark-of-the-token",
  RETORT_REWARD_TOKEN: "mark-of-the-reward",
  AWS_SECRET_ACCESS_KEY: "mark-of-the-bucket",
};
const marks = Object.values(marked);

/** Command lines of all processes of this machine; none where the system doesn't tell. */
async function commandLines(): Promise<string> {
  const ids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")));
  return lines.join("\n").replaceAll("\0", " ");
}

/** The text of every file below a directory that ends in `.log` or `.conf`, those of users apart. */
async function textsBelow(directory: string): Promise<string> {
  const names = await readdir(directory, { recursive: true });
  const texts = names.filter((name) => /\.(log|conf|pid|json)$/.test(name) && !name.endsWith("users.conf"));
  // What the run leaves behind is removed meanwhile.
  return (await Promise.all(texts.map((name) => readFile(join(directory, name), "utf8").catch(() => "")))).join("\n");
}

const holding = (text: string, secrets: readonly string[]): string[] => secrets.filter((secret) => text.includes(secret));

describe("secrets", () => {
  let directory: string;
  const before = { ...process.env };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-secrets-"));
    Object.assign(process.env, marked);
  });
  afterAll(async () => {
    for (const name of Object.keys(marked)) delete process.env[name];
    Object.assign(process.env, before);
    await rm(directory, { recursive: true, force: true });
  });

  it("of a run are in no command line, log, event, record or error", async () => {
    const dataDir = join(directory, "data");
    const service = await startLocal({ dataDir, port: 0, natsPort: 0, progress: () => {} });
    const controller = connectController(service.address, { token: marked.RETORT_TOKEN });
    try {
      const logins = service.natsLogins!;
      const passwords = await Promise.all((await readdir(logins)).map(async (name) => (await readFile(join(logins, name), "utf8")).trim()));
      const secrets = [...marks, ...passwords];
      expect(secrets).toHaveLength(8);
      const spec = tinySpec(
        "secret",
        "rewards: [{ kind: exact_match }]\nphases: [{ preset: rl_gkd, steps: 2, batchSize: 4, sampling: { maxNewTokens: 16 } }]",
      );
      const { run } = await controller.startRun({ spec: parseSpec(spec, resolve("deploy/examples/num2words/test.yaml")) });
      const seen = [service.nats, JSON.stringify(Object.keys(service))];
      for await (const { event } of controller.watchRun({ runId: run!.runId })) {
        seen.push(JSON.stringify(event, (_, value) => (typeof value === "bigint" ? String(value) : value)));
        if (event?.event.case === "stepFinished") seen.push(await commandLines());
      }
      const { run: ended } = await controller.getRun({ runId: run!.runId });
      expect([ended!.message, ended!.state]).toEqual(["", RunState.SUCCEEDED]);
      const stranger = connectController(service.address, { token: "wrong" });
      const refused = RetortError.from(await stranger.listRuns({}).catch((error: unknown) => error));
      stranger.close();
      expect(refused.code).toBe("Unauthenticated");
      seen.push(`${refused.message} ${refused.stack}`, await textsBelow(dataDir));
      // Where the system tells command lines, those of the roles were among them.
      if (process.platform === "linux") expect(seen.join("\n")).toContain("--role=student");
      expect(seen.join("\n")).toContain("settings that are unlike their defaults");
      expect(holding(seen.join("\n"), secrets)).toEqual([]);
    } finally {
      controller.close();
      await service.stop();
    }
  });

  it.each([
    ["controller", ["--port", "none"], {}],
    ["controller", ["--log-level", "debug"], {}],
    ["student", ["--run", "r"], {}],
    ["teacher", ["--run", "r", "--teacher", "t"], {}],
    ["reward", ["--run", "r"], { RETORT_REWARD_TLS_CA: "/nowhere.pem" }],
    ["learner", ["--run", "r"], { RETORT_NATS_CREDENTIALS: "/nowhere.creds" }],
    ["learner", ["--help"], {}],
  ] as const)("are not in what a failing %s %j says", async (role, argv, more) => {
    const secret = "mark-of-nats";
    const env = { ...process.env, ...more, RETORT_NATS_URL: `nats://user:${secret}@127.0.0.1:1`, RETORT_DATA_DIR: join(directory, "none") };
    const said = await new Promise<string>((done) =>
      execFile(process.execPath, [mainProgram, `--role=${role}`, ...argv], { env }, (error, out, err) =>
        done(`${error?.code ?? 0}\n${out}${err}`),
      ),
    );
    expect(said).toMatch(argv.includes("--help" as never) ? /^0\n/ : /^[1-9]/);
    expect(said.length).toBeGreaterThan(50);
    expect(holding(said, [...marks, secret])).toEqual([]);
  });
});
