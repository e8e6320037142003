import { setTimeout as sleep } from "node:timers/promises";
import { isApiError, Streams } from "../../../services/shared/base/streams/connection.js";
import { ensureConsumer, ensureStream, purge, removeConsumer } from "../../../services/shared/base/streams/ensure.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { follow } from "../../../services/shared/base/streams/read.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

describe("follow()", () => {
  let nats: TestNats;
  let streams: Streams;
  let stop: AbortController;
  let seen: { sequence: number; value: number }[];
  let reading: Promise<void> | undefined;

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
  });
  beforeEach(async () => {
    await ensureStream(streams, { name: "LOG", subjects: ["log.>"] });
    stop = new AbortController();
    seen = [];
  });
  afterEach(async () => {
    stop.abort();
    await reading;
    await streams.manager.streams.delete("LOG");
  });
  afterAll(() => nats.stop());

  const send = async (subject: string, ...values: number[]) => {
    for (const value of values) await publish(streams, subject, Uint8Array.of(value), { messageId: `${subject}-${value}` });
  };
  const read = (filter: string, from: number) => {
    reading = (async () => {
      for await (const { sequence, data } of follow(streams, "LOG", filter, from, stop.signal)) seen.push({ sequence, value: data[0]! });
    })();
  };
  const values = () => seen.map(({ value }) => value);

  it("replays what is stored, then follows, in order and under its filter only", async () => {
    await send("log.a", 1, 2);
    await send("log.b", 99);
    read("log.a", 0);
    await eventually("replayed", () => seen.length === 2);
    await send("log.a", 3);
    await eventually("followed", () => seen.length === 3);
    expect(seen).toEqual([
      { sequence: 1, value: 1 },
      { sequence: 2, value: 2 },
      { sequence: 4, value: 3 },
    ]);
  });

  it("starts at a sequence, or at the next one that is left", async () => {
    await send("log.a", 1, 2, 3, 4);
    await streams.manager.streams.deleteMessage("LOG", 2);
    read("log.a", 2);
    await eventually("read", () => seen.length === 2);
    expect(values()).toEqual([3, 4]);
  });

  it("goes on after a purge", async () => {
    await send("log.a", 1);
    read("log.a", 0);
    await eventually("first", () => seen.length === 1);
    await purge(streams, "LOG", "log.a");
    await send("log.a", 2);
    await eventually("second", () => seen.length === 2);
    expect(values()).toEqual([1, 2]);
  });

  it("reads everything once and in order across a server that is killed and comes back", async () => {
    const all = Array.from({ length: 120 }, (_, i) => i);
    await send("log.a", ...all.slice(0, 60));
    read("log.a", 0);
    await eventually("the first half", () => seen.length === 60);
    await nats.kill();
    await sleep(300);
    await nats.revive();
    await send("log.a", ...all.slice(60));
    await eventually("the rest", () => seen.length >= 120, 30_000);
    expect(values()).toEqual(all);
  });

  it("ends at its signal though nothing comes", async () => {
    read("log.none", 0);
    await sleep(100);
    stop.abort();
    const started = Date.now();
    await reading;
    expect(Date.now() - started).toBeLessThan(1000);
  });
});

describe("Streams.connect()", () => {
  it("names the URL that nobody answers, and the way out", async () => {
    const error = await Streams.connect({ url: "nats://127.0.0.1:1", name: "test" }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "Unavailable", message: expect.stringMatching(/nats:\/\/127\.0\.0\.1:1 .*RETORT_NATS_URL/) });
  });
});

describe("ensureStream() and ensureConsumer()", () => {
  let nats: TestNats;
  let streams: Streams;
  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
  });
  afterAll(() => nats.stop());

  it("bring what exists to the configuration, and keep its messages", async () => {
    await ensureStream(streams, { name: "S", subjects: ["s.>"], max_bytes: 1e6 });
    await publish(streams, "s.a", Uint8Array.of(1), { messageId: "1" });
    await ensureStream(streams, { name: "S", subjects: ["s.>"], max_bytes: 2e6 });
    const { config, state } = await streams.manager.streams.info("S");
    expect([config.max_bytes, state.messages]).toEqual([2e6, 1]);
    await ensureConsumer(streams, "S", { durable_name: "d", max_deliver: 3 });
    await ensureConsumer(streams, "S", { durable_name: "d", max_deliver: 5 });
    expect((await streams.manager.consumers.info("S", "d")).config.max_deliver).toBe(5);
  });

  it("can be undone twice", async () => {
    await removeConsumer(streams, "S", "d");
    await removeConsumer(streams, "S", "d");
    await removeConsumer(streams, "NONE", "d");
    const gone = await streams.manager.consumers.info("S", "d").catch((e: unknown) => e);
    expect(isApiError(gone, "consumerNotFound")).toBe(true);
  });
});
