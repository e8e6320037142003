import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, type NatsServer, startNatsServer } from "../../../services/shared/base/nats-server.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";

describe("startNatsServer()", () => {
  let binary: string;
  let directory: string;
  let server: NatsServer | undefined;
  beforeAll(async () => {
    binary = await findNatsServer((sentence) => console.log(sentence));
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-nats-"));
  });
  afterEach(async () => {
    await server?.stop();
    server = undefined;
    await rm(directory, { recursive: true, force: true });
  });

  it("serves JetStream with files on a free port, and messages of 8 MiB", async () => {
    server = await startNatsServer({ binary, directory, port: 0 });
    const streams = await Streams.connect({ url: server.url, name: "test" });
    expect(streams.connection.info?.max_payload).toBe(8 * 1024 * 1024);
    expect((await streams.manager.getAccountInfo()).limits.max_storage).not.toBe(0);
    await streams.close();
  });

  it("keeps what is stored across a stop and a start", async () => {
    server = await startNatsServer({ binary, directory, port: 0 });
    let streams = await Streams.connect({ url: server.url, name: "test" });
    await (await streams.kv.create("kept")).put("key", "value");
    await streams.close();
    await server.stop();
    server = await startNatsServer({ binary, directory, port: 0 });
    streams = await Streams.connect({ url: server.url, name: "test" });
    expect((await (await streams.kv.open("kept")).get("key"))?.string()).toBe("value");
    await streams.close();
  });

  it("stops at once, and says how a server ended that nobody stopped", async () => {
    server = await startNatsServer({ binary, directory, port: 0 });
    const started = Date.now();
    await server.stop();
    await server.stop();
    expect(Date.now() - started).toBeLessThan(2000);
    server = await startNatsServer({ binary, directory, port: 0 });
    server.process.kill("SIGKILL");
    expect(await server.exited).toBe("SIGKILL");
  });

  it("says that its port is in use, what to do, and leaves nothing running", async () => {
    server = await startNatsServer({ binary, directory, port: 0 });
    const port = Number(new URL(server.url).port);
    const other = await mkdtemp(join(tmpdir(), "retort-nats-"));
    const error = await startNatsServer({ binary, directory: other, port }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "FailedPrecondition", message: expect.stringMatching(/address already in use.*RETORT_NATS_URL/) });
    await rm(other, { recursive: true });
  });

  it("says that the program cannot be run", async () => {
    const error = await startNatsServer({ binary: "/nowhere/nats-server", directory, port: 0 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining("ENOENT") });
  });
});
