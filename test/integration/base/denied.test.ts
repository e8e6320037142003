import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../../services/shared/base/log.js";
import { findNatsServer, type NatsServer, startNatsServer } from "../../../services/shared/base/nats-server.js";
import { inboxOf, type NatsUsers, readLogin } from "../../../services/shared/base/nats-users.js";
import { Streams } from "../../../services/shared/base/streams/connection.js";
import { consume } from "../../../services/shared/base/streams/consume.js";
import { ensureConsumer, ensureStream } from "../../../services/shared/base/streams/ensure.js";
import { KeyValue } from "../../../services/shared/base/streams/key-value.js";
import { publish } from "../../../services/shared/base/streams/publish.js";
import { follow } from "../../../services/shared/base/streams/read.js";

const log = createLog("test", { level: "silent", format: "json" });

/** May read what the stream WORK has, and pull from its consumer, but neither acknowledge nor write. */
const reader = ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.WORK.*", "$JS.API.CONSUMER.MSG.NEXT.WORK.*"];
const users: NatsUsers = {
  owner: { publish: { allow: [">"] }, subscribe: { allow: [">"] } },
  reader: { publish: { allow: reader }, subscribe: { allow: [`${inboxOf("reader")}.>`] } },
};

describe("what NATS' permissions deny", () => {
  let directory: string;
  let server: NatsServer;
  let owner: Streams;
  let denied: Streams;

  const connect = (role: string) => Streams.connect({ url: server.url, name: role, login: readLogin(server.logins ?? "", role) });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-denied-"));
    server = await startNatsServer({ binary: await findNatsServer(console.log), directory, port: 0, users });
    owner = await connect("owner");
    await ensureStream(owner, { name: "WORK", subjects: ["work.>"] });
    await ensureConsumer(owner, "WORK", { durable_name: "worker" });
    await publish(owner, "work.1", Buffer.from("x"), { messageId: "1" });
    await KeyValue.open(owner, "values");
  });
  beforeEach(async () => {
    denied = await connect("reader");
  });
  afterEach(() => denied.connection.close());
  afterAll(async () => {
    await owner.connection.close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  const refusal = (subject: string) => ({
    code: "PermissionDenied",
    exitCode: 77,
    message: expect.stringMatching(new RegExp(`user "reader".*${subject.replace(/[$.]/g, "\\$&")}`)),
  });

  // A denied message that is tried again ends only after a connection's patience, a minute: longer than a test may take.
  it.each<[string, string, (streams: Streams) => Promise<unknown>]>([
    ["a record", "work.2", (streams) => publish(streams, "work.2", Buffer.from("x"), { messageId: "2" })],
    [
      "a key's value",
      "$KV.values.key",
      async (streams) => {
        const store = await KeyValue.open(streams, "values");
        await store.put("key", "value");
      },
    ],
    ["a stream", "$JS.API.STREAM.UPDATE.WORK", (streams) => ensureStream(streams, { name: "WORK", subjects: ["work.>", "more.>"] })],
    [
      "reading a stream",
      "$JS.API.CONSUMER.CREATE.WORK",
      async (streams) => {
        for await (const _ of follow(streams, "WORK", "work.>", 1, new AbortController().signal)) break;
      },
    ],
    [
      "the answer to a message",
      "$JS.ACK.WORK.worker",
      (streams) => consume(streams, { stream: "WORK", durable: "worker", concurrency: 1, handler: async () => {}, log }).done,
    ],
    [
      "pulling from a stream",
      "$JS.API.CONSUMER.INFO.OTHER.worker",
      (streams) => consume(streams, { stream: "OTHER", durable: "worker", concurrency: 1, handler: async () => {}, log }).done,
    ],
  ])("fails at once, naming subject and user: %s", async (_, subject, attempt) => {
    await expect(attempt(denied)).rejects.toMatchObject(refusal(subject));
  });

  it("is told of where nobody waits for an answer", async () => {
    denied.connection.publish("work.unasked");
    expect(await denied.denied).toMatchObject(refusal("work.unasked"));
  });

  it("is told of for a subject that it may not listen to", async () => {
    denied.connection.subscribe("work.>", { callback: () => {} });
    expect(await denied.denied).toMatchObject({ ...refusal("work.>"), message: expect.stringContaining("listen to work.>") });
  });
});
