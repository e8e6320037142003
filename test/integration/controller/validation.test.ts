import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ControllerContext } from "../../../services/controller/runs/context.js";
import { controllerService } from "../../../services/controller/service.js";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, createClient } from "../../../services/shared/base/rpc/client.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { example } from "../../support/runs/run-bench.js";
import { specOf } from "../../support/runs/run-spec.js";

const log = createLog("test", { level: "silent", format: "json" });
const init = { architecture: "llama", hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1 };

// No run is ever started here: what a controller needs beyond its roots is not there.
describe("a spec with faults of every kind", () => {
  let directory: string;
  let server: RpcServer;
  let client: Client<typeof ControllerService>;

  beforeAll(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), "retort-validation-")));
    await writeFile(join(directory, "rows.jsonl"), `${JSON.stringify({ prompt: "1=" })}\n`);
    const context = { place: { roots: `${directory},${resolve(".")}` }, now: () => new Date() } as ControllerContext;
    const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e7 };
    server = new RpcServer([controllerService(() => context)], options, log);
    await server.start();
    client = createClient(ControllerService, `127.0.0.1:${server.port}`, { timeoutMs: 60_000, maxMessageBytes: 1e7 });
  });
  afterAll(async () => {
    client.close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  /** The problems by field, from ValidateRun; StartRun must refuse with the very same ones. */
  const problemsOf = async (spec: RunSpec | undefined): Promise<Record<string, string>> => {
    const { problems } = await client.validateRun({ spec });
    const refusal = await client.startRun({ spec }).then(
      () => undefined,
      (error: unknown) => RetortError.from(error),
    );
    expect(refusal?.code).toBe("InvalidArgument");
    expect(refusal?.problems).toEqual(problems.map(({ field, message }) => ({ fieldPath: field, description: message })));
    // A status has room for 2000 characters; its details have all problems.
    for (const { message } of problems.slice(0, 8)) expect(refusal?.message).toContain(message);
    return Object.fromEntries(problems.map(({ field, message }) => [field, message]));
  };

  it("is answered with all of them at once, by ValidateRun and StartRun alike", async () => {
    const sampling = { maxNewTokens: 8 };
    const spec = specOf({
      name: "Not a stem",
      student: { model: example("models/student") },
      teachers: [
        { name: "other", model: resolve("test/golden/fixtures/models/llama") },
        { name: "away", model: join(directory, "nothing") },
        { name: "secret", model: "/etc" },
      ],
      data: { path: join(directory, "rows.jsonl") },
      phases: [
        { steps: 1, sampling, lambdaEnd: 2, preset: "rl_gkd" },
        { steps: 1, sampling, batchSize: 100_000 },
        { steps: 1, sampling, objective: { divergence: "opd", signal: "top_k", klCoef: -1 } },
      ],
      rewards: [
        { kind: "task", task: "chess" },
        { kind: "regex", pattern: "(" },
        { kind: "classifier", model: join(directory, "none") },
      ],
      evaluation: { holdOut: 1, passAt: [4], temperatures: [0] },
      output: directory,
    });
    expect(await problemsOf(spec)).toEqual({
      name: expect.stringMatching(/lower-case letters/),
      "phases[0].lambdaEnd": expect.stringMatching(/1/),
      "phases[1].batchSize": expect.stringMatching(/65536/),
      "phases[2].objective.klCoef": expect.stringMatching(/0/),
      "phases[2].objective.topK": expect.stringMatching(/is 64; it must lie in \[1, 41, the vocabulary's size\]/),
      "evaluation.temperatures[0]": expect.stringMatching(/0\.001/),
      "evaluation.holdOut": expect.stringMatching(/^is 1, and 1 row of .*rows\.jsonl fits the student; leave some to train on$/),
      "evaluation.passAt": expect.stringMatching(/pass@4 needs at least 4 samples/),
      "rewards[0].task": expect.stringMatching(/"chess".*calculator/),
      "rewards[1].pattern": expect.stringMatching(/no regular expression/),
      "rewards[2].model": expect.stringContaining(directory),
      "teachers[0].model": expect.stringMatching(/another vocabulary than the student: id \d+/),
      "teachers[1].model": expect.stringContaining(join(directory, "nothing")),
      "teachers[2].model": expect.stringMatching(/in none of the directories that --roots permits/),
      "data.completionField": expect.stringMatching(/no row of .*rows\.jsonl has a completion/),
    });
  });

  it("has camelCase paths through lists, messages and those that break a rule as a whole", async () => {
    const student = { init: { ...init, hiddenSize: 1e9, kvHeads: 2000 } };
    const problems = await problemsOf(specOf({ student, teachers: [], data: {}, phases: [] }));
    expect(Object.keys(problems).sort()).toEqual([
      "data",
      "phases",
      "student.init.hiddenSize",
      "student.init.kvHeads",
      "student.init.tokenizer",
    ]);
  });

  it("may lack everything", async () => {
    const none = await problemsOf(undefined);
    expect(none).toMatchObject({
      name: expect.anything(),
      student: "value is required",
      data: "value is required",
      phases: expect.anything(),
    });
  });
});
