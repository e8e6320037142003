import { setTimeout as sleep } from "node:timers/promises";
import { KeyValue } from "../../../services/shared/base/streams/key-value.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

describe("KeyValue", () => {
  let nats: TestNats;
  let store: KeyValue;
  const bytes = (text: string) => new TextEncoder().encode(text);
  const text = (value: Uint8Array | undefined) => value && new TextDecoder().decode(value);

  beforeAll(async () => {
    nats = await TestNats.start();
    store = await KeyValue.open(await nats.connect(), "test");
  });
  afterAll(() => nats.stop());

  it("keeps the newest value of a key, until it is deleted", async () => {
    expect(await store.get("a")).toBeUndefined();
    await store.put("a", "1");
    await store.put("a", "2");
    expect(text((await store.get("a"))?.value)).toBe("2");
    await store.delete("a");
    expect(await store.get("a")).toBeUndefined();
  });

  it("creates a key once; another value is refused, the same one is the same create", async () => {
    await store.create("once", bytes("first"));
    await expect(store.create("once", bytes("second"))).rejects.toMatchObject({
      code: "AlreadyExists",
      message: expect.stringContaining("once"),
    });
    await store.create("once", bytes("first"));
    expect(text((await store.get("once"))?.value)).toBe("first");
  });

  it("lets one of two who change the same revision win", async () => {
    await store.put("cas", "0");
    const { revision } = (await store.get("cas"))!;
    const outcomes = await Promise.allSettled(["x", "y"].map((value) => store.update("cas", bytes(value), revision)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "Aborted", retry: "later" } });
  });

  it("never lets two who write the same bytes both believe that they won", async () => {
    await store.put("fence", "3");
    const { revision } = (await store.get("fence"))!;
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => store.update("fence", bytes("4"), revision)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("lists keys under a filter", async () => {
    for (const key of ["run.roles.a", "run.roles.b", "run2.roles.a"]) await store.put(key, "x");
    await store.put("run.roles.gone", "x");
    await store.delete("run.roles.gone");
    expect((await store.keys("run.roles.>")).sort()).toEqual(["run.roles.a", "run.roles.b"]);
  });

  it("lists a key once, and not after its deletion, though it changes while the keys are read", async () => {
    let over = false;
    const change = async () => {
      for (let i = 0; !over; i++) {
        await store.put("moving.a", `${i}`);
        await store.put("moving.b", "x");
        await store.delete("moving.b");
      }
    };
    await store.put("moving.a", "x");
    const changing = change();
    const seen = [];
    for (let i = 0; i < 200; i++) seen.push((await store.keys("moving.>")).sort().join(" "));
    over = true;
    await changing;
    expect(seen.filter((keys) => keys !== "moving.a" && keys !== "moving.a moving.b")).toEqual([]);
    expect(await store.keys("moving.>")).toEqual(["moving.a"]);
  });

  it("watches a key: its value first, then every change", async () => {
    const stop = new AbortController();
    const seen: (string | undefined)[] = [];
    await store.put("w", "1");
    const watching = (async () => {
      for await (const value of store.watch("w", stop.signal)) seen.push(text(value));
    })();
    await eventually("the current value", () => seen.length === 1);
    await store.put("w", "2");
    await store.put("other", "x");
    await eventually("the change", () => seen.length === 2);
    expect(seen).toEqual(["1", "2"]);
    stop.abort();
    await watching;
  });

  it("outlasts a server that is killed and comes back: reads, writes, compare-and-set and watching", async () => {
    const stop = new AbortController();
    const seen: (string | undefined)[] = [];
    await store.put("v", "1");
    const watching = (async () => {
      for await (const value of store.watch("v", stop.signal)) seen.push(text(value));
    })();
    await eventually("watching", () => seen.length === 1);
    const { revision } = (await store.get("v"))!;
    // An answer may get lost in the outage: then only the value tells whether the change was made.
    const wasLost = (error: unknown) => expect(error).toMatchObject({ code: "Aborted" });
    await nats.kill();
    const during = Promise.all([
      store.get("v"),
      store.put("p", "put"),
      store.update("v", bytes("2"), revision).catch(wasLost),
      store.create("c", bytes("c")),
    ]);
    await sleep(400);
    await nats.revive();
    const revived = Date.now();
    const [read] = await during;
    expect(["1", "2"]).toContain(text(read?.value));
    expect(text((await store.get("p"))?.value)).toBe("put");
    expect(text((await store.get("c"))?.value)).toBe("c");
    await eventually("the change is seen", () => seen.at(-1) === "2");
    expect(Date.now() - revived).toBeLessThan(8000);
    stop.abort();
    await watching;
  });
});
