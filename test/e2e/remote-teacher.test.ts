import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec, type Watched } from "../support/runs/local-run.js";
import { example } from "../support/runs/run-bench.js";
import { LogprobServer } from "../support/servers/logprob-server.js";

const spec = (name: string, teacher: string, objective = "signal: top_k, topK: 8") =>
  tinySpec(
    name,
    `
roles: { student: { threads: 1 }, teacher: { threads: 1 }, learner: { threads: 1 } }
rollouts: { maxStaleness: 0 }
evaluation: { path: data/held-out.jsonl, limit: 4, samplesPerPrompt: 1 }
phases:
  - preset: on_policy_kd
    steps: 3
    batchSize: 4
    sampling: { maxNewTokens: 16 }
    objective: { ${objective} }
`,
  ).replace("{ model: models/teacher }", `{ model: models/teacher${teacher} }`);

describe("a run whose teacher is a server's model", () => {
  const tokenEnv = "RETORT_TEACHER_TOKEN_E2E";
  let cluster: LocalCluster;
  let server: LogprobServer;
  beforeAll(async () => {
    process.env[tokenEnv] = "sekret";
    server = await LogprobServer.start(example("models/teacher"));
    server.ways.token = "sekret";
    cluster = await LocalCluster.start();
  });
  afterAll(async () => {
    delete process.env[tokenEnv];
    await cluster.stop();
    await server.stop();
  });

  const remote = () => `, server: { url: "${server.url}", tokenEnv: ${tokenEnv} }`;
  const lossesOf = ({ events }: Watched) => events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.loss] : []));
  const evaluationsOf = ({ events }: Watched) => events.flatMap(({ event }) => (event.case === "evaluationFinished" ? [event.value] : []));

  it("learns what it learns from the same model here", async () => {
    const here = await cluster.watch(await cluster.begin(spec("here", "")));
    const there = await cluster.watch(await cluster.begin(spec("there", remote()).replace(", teacher: { threads: 1 }", "")));
    expect([there.run.state, there.run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const [own, other] = [lossesOf(here), lossesOf(there)];
    expect(other).toHaveLength(3);
    for (const [step, loss] of other.entries()) expect(loss).toBeCloseTo(own[step]!, 4);
    for (const { teacherNll, failed } of evaluationsOf(there)) expect([teacherNll! > 0, failed]).toEqual([true, 0]);
    expect(evaluationsOf(there).map(({ teacherNll }) => teacherNll!.toFixed(3))).toEqual(
      evaluationsOf(here).map(({ teacherNll }) => teacherNll!.toFixed(3)),
    );
    // The spec that the run went by says how the server was asked.
    expect(there.run.spec?.teachers[0]?.server).toMatchObject({ dialect: "vllm", maxLogprobs: 20 });
  });

  it("is refused at once what the server does not give, all of it", async () => {
    const bad = spec("bad", remote(), "signal: top_k, topK: 30, teacherTemperature: 2");
    await expect(cluster.begin(bad)).rejects.toMatchObject({
      problems: [
        { fieldPath: "phases[0].objective.topK", description: expect.stringContaining("top_k with k up to 20") },
        { fieldPath: "phases[0].objective.teacherTemperature", description: expect.stringContaining("is 2;") },
        { fieldPath: "roles.teacher.threads", description: expect.stringContaining("no teacher's model runs here") },
      ],
    });
    const open = spec("open", remote(), "beta: 0.5").replace(", teacher: { threads: 1 }", "");
    await expect(cluster.begin(open)).rejects.toMatchObject({
      problems: [{ fieldPath: "phases[0].objective.signal", description: expect.stringContaining("is full, which needs") }],
    });
    const foreign = spec("foreign", `, server: { url: "${server.url}", tokenEnv: PATH }`);
    await expect(cluster.begin(foreign)).rejects.toMatchObject({ fieldPath: "teachers[0].server.tokenEnv" });
  });
});
