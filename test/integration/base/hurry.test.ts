import type { Streams } from "../../../services/shared/base/streams/connection.js";
import { ensureStream } from "../../../services/shared/base/streams/ensure.js";
import { KeyValue } from "../../../services/shared/base/streams/key-value.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { TestNats } from "../../support/servers/nats.js";

/** Far below the minute for which requests outlast an outage. */
const timeoutMs = 20_000;

describe("Streams.hurry()", () => {
  let nats: TestNats;
  let streams: Streams;
  let store: KeyValue;

  beforeEach(async () => {
    nats = await TestNats.start();
    streams = await nats.connect();
    store = await KeyValue.open(streams, "test");
    await ensureStream(streams, { name: "LOG", subjects: ["log.>"] });
  });
  afterEach(() => nats.stop());

  it(
    "ends what waits for a server that is away, and what is asked after it",
    async () => {
      await nats.kill();
      const waiting = [store.put("key", "value"), publish(streams, "log.a", new Uint8Array(1), { messageId: "1" })];
      streams.hurry(100);
      for (const { status } of await Promise.allSettled(waiting)) expect(status).toBe("rejected");
      await expect(store.put("key", "value")).rejects.toMatchObject({ code: "Unavailable" });
      await streams.close();
      await nats.revive();
    },
    timeoutMs,
  );

  it("changes nothing while the server is there", async () => {
    streams.hurry(0);
    await store.put("key", "value");
    expect(await publish(streams, "log.a", new Uint8Array(1), { messageId: "1" })).toBe("stored");
  });
});
