import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { generate } from "selfsigned";
import { Supervisor } from "../../../services/controller/runs/supervisor.js";
import { controllerService } from "../../../services/controller/service.js";
import { HttpEdge, type HttpEdgeOptions } from "../../../services/shared/base/http/http-edge.js";
import { createLog } from "../../../services/shared/base/log.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { announceStart, publishEvent } from "../../../services/shared/flow/runs/events.js";
import { newRun, RunStore } from "../../../services/shared/flow/runs/run-store.js";
import { parseSpec } from "../../../services/shared/flow/runs/spec.js";
import { ensureStreams } from "../../../services/shared/flow/streams.js";
import { Scope } from "../../../services/shared/gen/retort/v1/access_pb.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { controllerContext } from "../../support/runs/controller-context.js";
import { FakeLauncher } from "../../support/runs/fake-launcher.js";
import { example } from "../../support/runs/run-bench.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

const log = createLog("test", { level: "silent", format: "json" });
const specText = `
name: edge
student: { model: models/student }
teachers: [{ model: models/teacher }]
data: { path: data/train.jsonl }
phases: [{ preset: on_policy_kd, steps: 6, sampling: { maxNewTokens: 16 } }]
`;

describe("the controller's edge for browsers and curl", () => {
  let directory: string;
  let nats: TestNats;
  let streams: Streams;
  let supervisor: Supervisor;
  const edges: HttpEdge[] = [];
  let implementation: ReturnType<typeof controllerService>;

  const edgeWith = async (more: Partial<HttpEdgeOptions> = {}): Promise<HttpEdge> => {
    const edge = new HttpEdge(
      [implementation],
      { host: "127.0.0.1", port: 0, maxMessageBytes: 1e6, page: join(directory, "page"), ...more },
      log,
    );
    await edge.start();
    edges.push(edge);
    return edge;
  };
  const urlOf = ({ port }: HttpEdge) => `http://127.0.0.1:${port}`;
  const post = (edge: HttpEdge, method: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${urlOf(edge)}/retort.v1.ControllerService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-edge-"));
    await mkdir(join(directory, "page"));
    await writeFile(join(directory, "page/index.html"), "<!doctype html><title>Retort</title>");
    await writeFile(join(directory, "page/console.js"), "export {};");
    await writeFile(join(directory, "secret"), "secret");
    nats = await TestNats.start();
    streams = await nats.connect();
    await ensureStreams(streams);
    const runs = await RunStore.open(streams);
    supervisor = new Supervisor({ streams, runs, launcher: new FakeLauncher(), log });
    const context = controllerContext({ streams, runs, supervisor, directory });
    implementation = controllerService(() => context);
    const spec = parseSpec(specText, example("spec.yaml"));
    for (const runId of ["kept", "going"]) {
      await runs.create(newRun({ runId, spec, state: runId === "kept" ? RunState.SUCCEEDED : RunState.RUNNING, totalSteps: 6 }));
      await announceStart(streams, runId);
      for (let step = 1; step <= 6; step++) {
        const value = { step, totalSteps: 6, loss: 1 / step, completionTokens: 10 };
        await publishEvent(streams, runId, { case: "stepFinished", value }, `step/${step}`);
        const samples = [1, 2].map((n) => ({
          prompt: `p${n}`,
          tokens: Array.from({ length: n }, () => "x"),
          reward: n,
          finished: n === 1,
        }));
        await publishEvent(streams, runId, { case: "samplesRecorded", value: { step, samples } }, `samples/${step}`);
      }
    }
    await publishEvent(streams, "kept", { case: "stateChanged", value: { state: RunState.SUCCEEDED, message: "" } }, "end");
    await mkdir(join(directory, "runs/kept/logs"), { recursive: true });
    await writeFile(join(directory, "runs/kept/logs/learner.log"), "first line\nsecond line\nthird line\n");
    await writeFile(join(directory, "runs/kept/logs/teacher-math-0.log"), "a teacher's\n");
  });
  afterAll(async () => {
    for (const edge of edges) await edge.stop();
    await supervisor.close();
    await nats.stop();
    await rm(directory, { recursive: true });
  });

  describe.each<[string, (baseUrl: string) => ReturnType<typeof createConnectTransport>]>([
    ["Connect in JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
    ["Connect in binary", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
    ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ])("over %s", (_, transport) => {
    let client: Client<typeof ControllerService>;
    beforeAll(async () => {
      client = createClient(ControllerService, transport(urlOf(await edgeWith())));
    });

    it("answers, and streams a run's events to their end", async () => {
      expect((await client.getRun({ runId: "kept" })).run).toMatchObject({ runId: "kept", state: RunState.SUCCEEDED });
      const kinds: (string | undefined)[] = [];
      for await (const { event } of client.watchRun({ runId: "kept" })) kinds.push(event?.event.case);
      expect(kinds).toHaveLength(14);
      expect(kinds.at(-1)).toBe("stateChanged");
    });

    it("has curves, samples and logs", async () => {
      const { figures, lastStep } = await client.readFigures({ runId: "kept", names: ["loss"], maxPoints: 3 });
      expect(lastStep).toBe(6);
      expect(figures).toMatchObject([{ name: "loss", steps: [1, 3, 5], tokens: [10, 30, 50], greatest: [1, 1 / 3, 1 / 5] }]);
      const names = (await client.readFigures({ runId: "kept" })).figures.map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(["loss", "divergence"]));
      const { steps } = await client.listSamples({ runId: "kept", minReward: 2, lastStep: 5, limit: 2 });
      expect(steps.map(({ step, samples }) => [step, samples.map(({ prompt }) => prompt)])).toEqual([
        [5, ["p2"]],
        [4, ["p2"]],
      ]);
      const { logs } = await client.readLogs({ runId: "kept", maxBytes: 30 });
      expect(logs).toMatchObject([
        { name: "learner", role: "learner", text: "second line\nthird line\n" },
        { name: "teacher-math-0", role: "teacher", text: "a teacher's\n" },
      ]);
    });

    it("refuses with the code, the sentence and the fields", async () => {
      const thrown = await client.getRun({ runId: "UPPER" }).catch((error: unknown) => error);
      expect(thrown).toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringMatching(/runId/) });
      await expect(client.getRun({ runId: "none" })).rejects.toMatchObject({ code: Code.NotFound });
      const invalid = (await client.startRun({ spec: { name: "x" } }).catch((error: unknown) => error)) as ConnectError;
      expect(invalid.code).toBe(Code.InvalidArgument);
      expect(invalid.details.map((detail) => ("type" in detail ? detail.type : ""))).toEqual(["google.rpc.BadRequest"]);
      await expect(client.getRun({ runId: "a".repeat(2e6) })).rejects.toMatchObject({ code: Code.ResourceExhausted });
    });

    it("stops watching when the caller does", async () => {
      const gone = new AbortController();
      const seen: unknown[] = [];
      const watching = (async () => {
        for await (const { event } of client.watchRun({ runId: "going" }, { signal: gone.signal })) seen.push(event);
      })();
      await eventually("the events so far", () => seen.length === 13, 20_000);
      const consumers = async () => {
        let count = 0;
        for await (const _ of streams.manager.consumers.list("RETORT_EVENTS")) count++;
        return count;
      };
      expect(await consumers()).toBeGreaterThan(0);
      gone.abort();
      await expect(watching).rejects.toMatchObject({ code: Code.Canceled });
      await eventually("no consumer", async () => (await consumers()) === 0, 20_000);
    });
  });

  it("speaks JSON with curl", async () => {
    const edge = await edgeWith();
    const answer = await post(edge, "GetRun", { runId: "kept" });
    expect([answer.status, ((await answer.json()) as { run: { state: string } }).run.state]).toEqual([200, "RUN_STATE_SUCCEEDED"]);
    const refused = await post(edge, "GetRun", { runId: "none" });
    expect([refused.status, await refused.json()]).toEqual([404, { code: "not_found", message: expect.stringContaining("none") }]);
  });

  it("lets nobody in without the right token", async () => {
    const edge = await edgeWith({
      access: {
        grants: [
          { token: "all", scope: Scope.ADMIN },
          { token: "look", scope: Scope.READ },
        ],
      },
    });
    const statuses = async (method: string, tokens: readonly string[]) =>
      Promise.all(
        tokens.map(
          async (token) => (await post(edge, method, { runId: "kept" }, token ? { authorization: `Bearer ${token}` } : {})).status,
        ),
      );
    expect(await statuses("GetRun", ["", "wrong", "look", "all"])).toEqual([401, 401, 200, 200]);
    expect(await statuses("DeleteRun", ["look"])).toEqual([403]);
    const web = createClient(ControllerService, createGrpcWebTransport({ baseUrl: urlOf(edge), httpVersion: "1.1" }));
    await expect(web.getRun({ runId: "kept" })).rejects.toMatchObject({ code: Code.Unauthenticated });
    // The page itself tells nothing, and asks for the token.
    expect((await fetch(`${urlOf(edge)}/`)).status).toBe(200);
  });

  it("can't be called by a page of another origin, under whatever name", async () => {
    const edge = await edgeWith();
    const ask = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const path = "/retort.v1.ControllerService/ListRuns";
        const sent = request(
          { port: edge.port, host: "127.0.0.1", path, method: "POST", headers: { "content-type": "application/json", ...headers } },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode ?? 0);
          },
        );
        sent.on("error", reject).end("{}");
      });
    const own = `127.0.0.1:${edge.port}`;
    expect(await ask({ host: own, origin: `http://${own}` })).toBe(200);
    expect(await ask({ host: `localhost:${edge.port}` })).toBe(200);
    expect(await ask({ host: own, origin: "https://evil.example" })).toBe(403);
    expect(await ask({ host: own, origin: "null" })).toBe(403);
    expect(await ask({ host: `evil.example:${edge.port}`, origin: `http://evil.example:${edge.port}` })).toBe(403);
    // What a form can send without asking first.
    expect(await ask({ host: own, "content-type": "text/plain" })).toBe(415);
  });

  it("serves the page's files, and nothing else, under a strict policy", async () => {
    const edge = await edgeWith();
    const page = await fetch(`${urlOf(edge)}/`);
    expect(await page.text()).toContain("<title>Retort</title>");
    expect(page.headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self'/);
    expect(Object.fromEntries(page.headers)).toMatchObject({
      "x-content-type-options": "nosniff",
      "content-type": "text/html; charset=utf-8",
    });
    const again = await fetch(`${urlOf(edge)}/`, { headers: { "if-none-match": page.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
    expect((await fetch(`${urlOf(edge)}/console.js`)).headers.get("content-type")).toMatch(/javascript/);
    for (const path of ["/secret", "/..%2fsecret", "/%2e%2e/secret", "/.hidden", "/page/index.html", "/nothing"])
      expect([path, (await fetch(`${urlOf(edge)}${path}`)).status]).toEqual([path, 404]);
    expect((await fetch(`${urlOf(edge)}/`, { method: "POST", body: "x" })).status).toBe(405);
  });

  it("speaks TLS, to clients with certificates alone if it asks for them", async () => {
    const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], { keySize: 2048 });
    const edge = await edgeWith({ tls: { cert: Buffer.from(cert), key: Buffer.from(key) } });
    const baseUrl = `https://localhost:${edge.port}`;
    for (const httpVersion of ["1.1", "2"] as const) {
      const transport = createConnectTransport({ baseUrl, httpVersion, nodeOptions: { ca: cert } });
      expect((await createClient(ControllerService, transport).getRun({ runId: "kept" })).run?.runId).toBe("kept");
    }
    const strict = await edgeWith({ tls: { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(cert) } });
    const stranger = createConnectTransport({ baseUrl: `https://localhost:${strict.port}`, httpVersion: "1.1", nodeOptions: { ca: cert } });
    await expect(createClient(ControllerService, stranger).getRun({ runId: "kept" })).rejects.toBeInstanceOf(ConnectError);
  });
});
