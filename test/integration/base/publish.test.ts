import { DiscardPolicy, RetentionPolicy } from "@nats-io/jetstream";
import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { ensureStream } from "../../../services/shared/base/streams/ensure.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { lastMessage } from "../../../services/shared/base/streams/read.js";
import { TestNats } from "../../support/servers/nats.js";

describe("publish()", () => {
  let nats: TestNats;
  let streams: Streams;
  const bytes = (text: string) => new TextEncoder().encode(text);

  beforeAll(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
  });
  afterAll(() => nats.stop());

  const count = async (name: string) => (await streams.manager.streams.info(name)).state.messages;

  it("stores a message id once", async () => {
    await ensureStream(streams, { name: "IDS", subjects: ["ids.>"] });
    const outcomes: string[] = [];
    for (const text of ["x", "x", "y"]) outcomes.push(await publish(streams, "ids.a", bytes(text), { messageId: "same" }));
    expect(outcomes).toEqual(["stored", "duplicate", "duplicate"]);
    expect(await count("IDS")).toBe(1);
  });

  it("says that a subject which holds its one message refuses another, and keeps the first", async () => {
    const limits = { max_msgs_per_subject: 1, discard: DiscardPolicy.New, discard_new_per_subject: true };
    await ensureStream(streams, { name: "ONCE", subjects: ["once.>"], retention: RetentionPolicy.Limits, ...limits });
    expect(await publish(streams, "once.a", bytes("first"), { messageId: "1" })).toBe("stored");
    expect(await publish(streams, "once.a", bytes("second"), { messageId: "2" })).toBe("refused");
    expect(new TextDecoder().decode(await lastMessage(streams, "ONCE", "once.a"))).toBe("first");
    expect(await lastMessage(streams, "ONCE", "once.other")).toBeUndefined();
  });

  it("waits for room in a full stream, and never takes a full stream for a refusal", async () => {
    const limits = { max_msgs_per_subject: 1, discard: DiscardPolicy.New, discard_new_per_subject: true, max_bytes: 3000 };
    await ensureStream(streams, { name: "FULL", subjects: ["full.>"], ...limits });
    const kilobyte = new Uint8Array(1200);
    await publish(streams, "full.a", kilobyte, { messageId: "a" });
    await publish(streams, "full.b", kilobyte, { messageId: "b" });
    const late = publish(streams, "full.c", kilobyte, { messageId: "c", timeoutMs: 10_000 });
    await expect(Promise.race([late, new Promise((resolve) => setTimeout(resolve, 500, "waiting"))])).resolves.toBe("waiting");
    await streams.manager.streams.purge("FULL", { filter: "full.a" });
    expect(await late).toBe("stored");
    const error = await publish(streams, "full.d", kilobyte, { messageId: "d", timeoutMs: 300 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "ResourceExhausted", message: expect.stringMatching(/full\.d.*maximum bytes/s) });
  });

  it("names the setting when a record exceeds the server's largest message", async () => {
    const error = await publish(streams, "ids.big", new Uint8Array(9 * 1024 * 1024), { messageId: "big" }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "InvalidArgument", message: expect.stringContaining("promptsPerTask") });
  });

  it("says which subject no stream listens to", async () => {
    const error = await publish(streams, "nowhere.x", bytes("x"), { messageId: "n", timeoutMs: 3000 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "FailedPrecondition", message: expect.stringContaining("nowhere.x") });
  });

  it("stores a message exactly once across a server that is killed and comes back", async () => {
    await nats.kill();
    const sent = Promise.all([..."abcde"].map((id) => publish(streams, "ids.outage", bytes(id), { messageId: `outage-${id}` })));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await nats.revive();
    // A duplicate is one whose first acknowledgement was lost in the outage.
    for (const outcome of await sent) expect(["stored", "duplicate"]).toContain(outcome);
    expect(await count("IDS")).toBe(6);
  });
});
