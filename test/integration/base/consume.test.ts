import { setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, RetentionPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { discard, onExhausted } from "../../../services/shared/base/streams/advisories.js";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { type Consumption, consume, type Delivery } from "../../../services/shared/base/streams/consume.js";
import { ensureConsumer, ensureStream, purge } from "../../../services/shared/base/streams/ensure.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { eventually, TestNats } from "../../support/servers/nats.js";

describe("consume()", () => {
  let nats: TestNats;
  let streams: Streams;
  let running: Consumption | undefined;
  const log = createLog("test", { level: process.env.LOG ?? "silent", format: "json" });
  const stream = "WORK";
  const durable = "worker";

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
  });
  beforeEach(async () => {
    await ensureStream(streams, { name: stream, subjects: ["work.>"], retention: RetentionPolicy.Workqueue });
    const config = { durable_name: durable, ack_policy: AckPolicy.Explicit, ack_wait: nanos(1500), max_deliver: 4 };
    await ensureConsumer(streams, stream, config);
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    await purge(streams, stream, "work.>");
  });
  afterAll(() => nats.stop());

  const send = (...names: string[]) =>
    Promise.all(names.map((name) => publish(streams, `work.${name}`, Uint8Array.of(1), { messageId: `${name}-${Math.random()}` })));
  const start = (handler: (delivery: Delivery) => Promise<void>, concurrency = 2, retryDelayMs = 50) => {
    running = consume(streams, { stream, durable, concurrency, handler, log, retryDelayMs });
    return running;
  };
  const left = async () => (await streams.manager.streams.info(stream)).state.messages;
  const numbered = (n: number) => Array.from({ length: n }, (_, i) => `m${i}`);

  it("handles each message once, no more than `concurrency` at a time", async () => {
    let inHand = 0;
    let most = 0;
    const seen: string[] = [];
    await send(...numbered(20));
    start(async ({ subject }) => {
      most = Math.max(most, ++inHand);
      await sleep(20);
      seen.push(subject);
      inHand--;
    }, 3);
    await eventually("all acknowledged", async () => (await left()) === 0);
    expect(seen.sort()).toEqual(
      numbered(20)
        .map((n) => `work.${n}`)
        .sort(),
    );
    expect(most).toBe(3);
  });

  it("asks before each pull how many it may have in hand, where that is a function, and takes one when none is", async () => {
    let inHand = 0;
    const many: number[] = [];
    await send(...numbered(6));
    running = consume(streams, {
      ...{ stream, durable, log },
      concurrency: (count) => {
        expect(count).toBe(inHand);
        return many.length < 3 ? count + 1 : 0;
      },
      handler: async () => {
        many.push(++inHand);
        await sleep(400);
        inHand--;
      },
    });
    await eventually("all acknowledged", async () => (await left()) === 0);
    expect(many.slice(0, 3)).toEqual([1, 2, 3]);
    expect(many.slice(3)).toEqual([1, 1, 1]);
  });

  it.each([
    ["terminates", "InvalidArgument", 1],
    ["gives back, and hears it again,", "Unavailable", 3],
  ] as const)("%s a message whose handler throws %s", async (_, code, attempts) => {
    const seen: number[] = [];
    await send("bad");
    start(async ({ attempt }) => {
      seen.push(attempt);
      if (attempt < 3) throw new RetortError(code, "no");
    });
    await eventually("the message is gone", async () => (await left()) === 0);
    expect(seen).toEqual(Array.from({ length: attempts }, (_, i) => i + 1));
  });

  it("ends with the error of a handler that has a bug, stops pulling, and keeps the message", async () => {
    let calls = 0;
    await send("one", "two", "three");
    const { done } = start(async () => {
      calls++;
      throw new TypeError("a bug");
    }, 1);
    await expect(done).rejects.toMatchObject({ code: "Internal", message: "a bug" });
    await sleep(300);
    expect(calls).toBe(1);
    expect(await left()).toBe(3);
  });

  it("keeps work that outlasts the server's patience for itself", async () => {
    const seen: number[] = [];
    await send("long");
    start(async ({ attempt }) => {
      seen.push(attempt);
      await sleep(4000);
    });
    await eventually("done", async () => (await left()) === 0);
    expect(seen).toEqual([1]);
  });

  it("finishes what is in hand when it stops, and leaves the rest to others at once", async () => {
    await send(...numbered(6));
    const first: string[] = [];
    const consumption = start(async ({ subject }) => {
      await sleep(300);
      first.push(subject);
    });
    await eventually("work in hand", async () => (await streams.manager.consumers.info(stream, durable)).num_ack_pending === 2);
    await consumption.stop();
    expect(first).toHaveLength(2);
    await eventually("two acknowledged", async () => (await left()) === 4);
    const second: string[] = [];
    const restarted = Date.now();
    start(async ({ subject }) => void second.push(subject));
    await eventually("the rest done", async () => (await left()) === 0);
    expect(Date.now() - restarted).toBeLessThan(1200);
    expect([...first, ...second].sort()).toEqual(numbered(6).map((n) => `work.${n}`));
  });

  it("tells a long handler that it stops, and the message it gives up goes to the next consumer at once", async () => {
    await send("endless");
    const consumption = start(({ signal }) => sleep(60_000, undefined, { signal }));
    await eventually("in hand", async () => (await streams.manager.consumers.info(stream, durable)).num_ack_pending === 1);
    await consumption.stop();
    const attempts: number[] = [];
    start(async ({ attempt }) => void attempts.push(attempt));
    await eventually("taken over", async () => (await left()) === 0, 1200);
    expect(attempts).toEqual([2]);
  });

  it("reports a message that nobody survives, which then can be discarded", async () => {
    const exhausted: string[] = [];
    const stopListening = onExhausted(streams, stream, async ({ subject, sequence, deliveries }) => {
      exhausted.push(`${subject} ${deliveries}`);
      await discard(streams, stream, sequence);
      await discard(streams, stream, sequence);
    });
    await send("killer");
    start(async () => {
      throw new RetortError("Unavailable", "always");
    });
    await eventually("reported", () => exhausted.length > 0);
    expect(exhausted).toEqual(["work.killer 4"]);
    await eventually("discarded", async () => (await left()) === 0);
    stopListening();
  });

  it("goes on when its consumer was deleted and made anew", async () => {
    const seen: string[] = [];
    start(async ({ subject }) => void seen.push(subject));
    await streams.manager.consumers.delete(stream, durable);
    await sleep(1500);
    await ensureConsumer(streams, stream, { durable_name: durable, ack_policy: AckPolicy.Explicit });
    await send("after");
    await eventually("the message arrives", () => seen.includes("work.after"));
  });

  it("loses nothing and goes on when the server is killed and comes back", async () => {
    const seen = new Set<string>();
    await send(...numbered(30));
    start(async ({ subject }) => {
      await sleep(20);
      seen.add(subject);
    });
    await eventually("half done", () => seen.size >= 10);
    await nats.kill();
    await sleep(500);
    await nats.revive();
    const revived = Date.now();
    await send("later");
    await eventually("all done", async () => (await left()) === 0);
    expect(seen.size).toBe(31);
    console.log(`all work was done ${Date.now() - revived} ms after the server came back`);
  });
});
