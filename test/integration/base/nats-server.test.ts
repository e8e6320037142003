import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
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

describe("findNatsServer()", () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "retort-home-"));
    await mkdir(join(home, "bin"));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  /** A program that answers with a text, on a PATH that has nothing else. */
  const install = async (name: string, script: string): Promise<void> => {
    const path = join(home, "bin", name);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  };
  const env = () => ({ PATH: join(home, "bin"), HOME: home });
  const find = (heard: string[] = []) => findNatsServer((sentence) => heard.push(sentence), env());

  it("takes the one on the PATH", async () => {
    await install("nats-server", "echo nats-server: v2.10.0");
    expect(await find()).toBe("nats-server");
  });

  it("builds one with Go into the cache, once, when the one on the PATH is too old", async () => {
    await install("nats-server", "echo nats-server: v2.9.25");
    const target = '"$GOBIN/nats-server"';
    const build = `/bin/mkdir -p "$GOBIN"; printf '#!/bin/sh\\necho nats-server: v2.12.15\\n' > ${target}; /bin/chmod +x ${target}`;
    await install("go", `if [ "$1" = install ]; then ${build}; fi`);
    const heard: string[] = [];
    const path = await find(heard);
    expect(path).toContain(join(home, ".cache", "retort"));
    expect(heard).toEqual([expect.stringContaining("2.9.25"), expect.stringContaining("building")]);
    await install("go", "exit 1");
    expect(await find()).toBe(path);
  });

  it("says how to get one when there is no way", async () => {
    await expect(find()).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/Install nats-server.*Go.*RETORT_NATS_URL/),
    });
  });

  it("says why Go could not build it", async () => {
    await install("go", 'if [ "$1" = install ]; then echo "no network" >&2; exit 1; fi');
    await expect(find()).rejects.toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining("no network") });
  });
});
