import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { serveModel } from "../../../services/cli/models/model-server.js";
import { startOwnService } from "../../../services/cli/own-service.js";
import { example } from "../../support/runs/run-bench.js";

// As one has it who serves others: certificates, tokens and a port of their own.
describe("what a command serves itself with", () => {
  const kept = { ...process.env };
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-own-"));
    const pem = await generate([{ name: "commonName", value: "elsewhere" }], { algorithm: "sha256" });
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    await Promise.all([writeFile(cert, pem.cert), writeFile(key, pem.private)]);
    const tls = { RETORT_TLS_CERT: cert, RETORT_TLS_KEY: key, RETORT_TLS_CA: cert };
    // Port 1 is nobody's to listen on.
    const places = { RETORT_HOST: "::1", RETORT_PORT: "1", RETORT_HEALTH_PORT: "1" };
    const otherNats = { RETORT_NATS_REPLICAS: "3", RETORT_NATS_TLS_CA: cert };
    Object.assign(process.env, { ...tls, ...places, ...otherNats, RETORT_RUN_TOKEN: "runs", RETORT_CHECK_ONLY: "true" });
  });
  afterAll(async () => {
    for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name];
    Object.assign(process.env, kept);
    await rm(directory, { recursive: true, force: true });
  });

  it.each([
    ["no token", undefined],
    ["the user's token", "mine"],
  ])("is a controller that it reaches, with %s", async (_, token) => {
    if (token) process.env.RETORT_TOKEN = token;
    const service = await startOwnService({ dataDir: join(directory, token ?? "none"), progress: () => {} });
    try {
      expect(await service.controller.listRuns({})).toMatchObject({ runs: [] });
    } finally {
      await service.stop();
    }
  });

  it("is a model that it reaches", async () => {
    const { client, stop } = await serveModel(example("models/teacher"));
    try {
      expect(await client.describe({})).toMatchObject({ architecture: "llama" });
    } finally {
      await stop();
    }
  });
});
