import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, type NatsServer, startNatsServer } from "../../../services/shared/base/nats-server.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";
import { ensureStreams, streamNames } from "../../../services/shared/flow/streams.js";

const mebibyte = 1024 ** 2;

describe("ensureStreams()", () => {
  let directory: string;
  let server: NatsServer;
  let streams: Streams;

  const start = async (storageBytes?: number) => {
    const binary = await findNatsServer((sentence) => console.log(sentence));
    server = await startNatsServer({ binary, directory, port: 0, storageBytes });
    streams = await Streams.connect({ url: server.url, name: "test" });
  };
  const sizes = async () => {
    const infos = await Promise.all(Object.values(streamNames).map((name) => streams.manager.streams.info(name)));
    return infos.map(({ config }) => config.max_bytes / mebibyte);
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-streams-"));
  });
  afterEach(async () => {
    await streams.close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  it("shrinks the streams on a small server, leaves half of it, and changes nothing the second time", async () => {
    await start(2048 * mebibyte);
    await ensureStreams(streams);
    const first = await sizes();
    expect(first).toEqual([64, 128, 512, 64, 32]);
    await ensureStreams(streams);
    expect(await sizes()).toEqual(first);
  });

  it("keeps the sizes that somebody gave them", async () => {
    await start(64 * 1024 * mebibyte);
    await ensureStreams(streams);
    expect(await sizes()).toEqual([1024, 2048, 8192, 1024, 512]);
    await streams.manager.streams.update(streamNames.events, { max_bytes: 99 * mebibyte });
    await ensureStreams(streams);
    expect(await sizes()).toEqual([1024, 2048, 8192, 99, 512]);
  });

  it("refuses a server that is too small, and says how much is needed", async () => {
    await start(20 * mebibyte);
    await expect(ensureStreams(streams)).rejects.toMatchObject({
      code: "ResourceExhausted",
      message: expect.stringMatching(/max_file_store/),
    });
  });
});
