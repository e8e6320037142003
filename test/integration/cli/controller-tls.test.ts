import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { located } from "../../../services/cli/runs/located.js";
import { createLog } from "../../../services/shared/base/log.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";

const log = createLog("test", { level: "silent", format: "json" });

describe("a controller behind TLS", () => {
  const kept = { ...process.env };
  let directory: string;
  let server: RpcServer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-tls-"));
    const pem = await generate([{ name: "commonName", value: "localhost" }], { algorithm: "sha256" });
    await writeFile(join(directory, "ca.pem"), pem.cert);
    const tls = { cert: Buffer.from(pem.cert), key: Buffer.from(pem.private) };
    server = new RpcServer([], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6, tls }, log);
    await server.start();
  });
  beforeEach(() => {
    process.env.RETORT_CONTROLLER = `localhost:${server.port}`;
  });
  afterEach(() => {
    process.env = { ...kept };
  });
  afterAll(async () => {
    await server.stop();
    await rm(directory, { recursive: true });
  });

  it("is asked for a run's model by commands without options for it, by what the environment says", async () => {
    process.env.RETORT_CONTROLLER_TLS_CA = join(directory, "ca.pem");
    // The server has no methods: a call that reaches it is answered with that.
    await expect(located("run://any")).rejects.toMatchObject({ code: "Unimplemented" });
    process.env.RETORT_CONTROLLER_TLS_CA = "";
    await expect(located("run://any")).rejects.toMatchObject({ code: "Unavailable" });
    process.env.RETORT_CONTROLLER_TLS_CA = join(directory, "nothing.pem");
    await expect(located("run://any")).rejects.toThrow(/nothing\.pem cannot be read \(ENOENT\)/);
    process.env.RETORT_CONTROLLER_TLS_CA = join(directory, "ca.pem");
    process.env.RETORT_CONTROLLER_TLS_CERT = join(directory, "ca.pem");
    await expect(located("run://any")).rejects.toThrow(/--tls-cert and --tls-key .* belong together/);
  });
});
