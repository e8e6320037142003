import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../services/shared/base/log.js";
import type { Streams } from "../../services/shared/base/streams/connection.js";
import { type Consumption, consume } from "../../services/shared/base/streams/consume.js";
import { KeyValue } from "../../services/shared/base/streams/key-value.js";
import { publish } from "../../services/shared/base/streams/publish.js";
import { readAll } from "../../services/shared/base/streams/read-all.js";
import { durables, ensureRun, ensureStorage, ensureStreams, streamNames } from "../../services/shared/flow/streams.js";
import { subjects } from "../../services/shared/flow/subjects.js";
import { NatsStore } from "../../services/shared/flow/weights/nats-store.js";
import { Purpose } from "../../services/shared/gen/retort/v1/flow_pb.js";
import { fetchedBytes, storeBytes } from "../support/runs/stored-bytes.js";
import { eventually, TestNats } from "../support/servers/nats.js";
import { NatsCluster } from "../support/servers/nats-cluster.js";

const log = createLog("test", { level: "silent", format: "json" });
const runId = "copied";
const bytesOf = (value: number) => new TextEncoder().encode(String(value));
const numberOf = (data: Uint8Array) => Number(Buffer.from(data).toString());

describe("a NATS of three servers", () => {
  let cluster: NatsCluster;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-copies-"));
    cluster = await NatsCluster.start();
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  const replicasOf = async (streams: Streams) => {
    const found = new Map<string, number>();
    for await (const name of streams.manager.streams.names())
      found.set(name, (await streams.manager.streams.info(name)).config.num_replicas);
    return found;
  };

  it("takes up what one server has kept: streams and buckets are then on three", async () => {
    const [one, three] = [await cluster.connect(), await cluster.connect(3)];
    await ensureStreams(one);
    const bucket = await KeyValue.open(one, "retort_runs");
    await bucket.put("kept", "as it was");
    expect(new Set((await replicasOf(one)).values())).toEqual(new Set([1]));
    await ensureStorage(three);
    expect([...(await replicasOf(three))].sort()).toEqual(
      [...Object.values(streamNames), "KV_retort_runs"].sort().map((name) => [name, 3]),
    );
    expect((await three.manager.streams.info("KV_retort_runs")).config.allow_direct).toBe(false);
    const again = await KeyValue.open(three, "retort_runs");
    expect(Buffer.from((await again.get("kept"))!.value).toString()).toBe("as it was");
    await again.delete("kept");
  });

  it("says at once what has been written, though a server is behind", async () => {
    const streams = await cluster.connect(3, "controller", "n0");
    const bucket = await KeyValue.open(streams, "retort_behind");
    await publish(streams, subjects.account(runId, 1n, 0), bytesOf(0), { messageId: "behind/0" });
    for (let i = 1; i <= 3; i++) {
      await cluster.whileBehind(streamNames.ledger, "n0", () =>
        publish(streams, subjects.account(runId, 1n, i), bytesOf(i), { messageId: `behind/${i}` }),
      );
      // Each reader is beside a server that NATS chooses.
      const readers = await Promise.all(Array.from({ length: 4 }, () => readAll(streams, streamNames.ledger, subjects.accounts(runId))));
      for (const found of readers) expect(found.map(({ data }) => numberOf(data))).toEqual(Array.from({ length: i + 1 }, (_, at) => at));
      await cluster.whileBehind("KV_retort_behind", "n0", () => bucket.put(`key-${i}`, "new"));
      expect((await bucket.keys()).length).toBe(i);
      expect(await bucket.get(`key-${i}`)).toBeDefined();
    }
    await bucket.delete("key-1");
    expect(await bucket.keys()).not.toContain("key-1");
  });

  it("keeps a run's weights, and brings all of a file that a server is behind with", async () => {
    const [learner, student] = [await cluster.connect(3, "learner", "n0"), await cluster.connect(3, "student", "n0")];
    const [written, read] = [new NatsStore(learner, join(directory, "put")), new NatsStore(student, join(directory, "read"))];
    const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7) % 251));
    const put = (version: number) => storeBytes(written, runId, version, new Map([["model.safetensors", bytes]]), 1n);
    for (let version = 0; version < 3; version++) {
      await (version === 0 ? put(0) : cluster.whileBehind(`OBJ_retort_weights_${runId}`, "n0", () => put(version)));
      expect((await fetchedBytes(read, runId, version)).get("model.safetensors")?.equals(bytes)).toBe(true);
      expect(await written.list(runId)).toEqual(Array.from({ length: version + 1 }, (_, at) => at));
    }
    expect((await replicasOf(learner)).get(`OBJ_retort_weights_${runId}`)).toBe(3);
  });

  it("loses and doubles nothing of a run when the server that leads its streams is lost", async () => {
    const tasks = 60;
    const [streams, other] = [await cluster.connect(3), await cluster.connect(3)];
    await ensureRun(streams, { runId, teachers: [], rewarded: false, maxAttempts: 3 });
    const counter = await KeyValue.open(streams, "retort_counter");
    const key = (task: number) => ({ runId, purpose: Purpose.TRAIN as const, step: 1, task, attempt: 2 });
    const handled = new Map<number, number>();
    const worker = (own: Streams): Consumption =>
      consume(own, {
        ...{ stream: streamNames.prompts, durable: durables.student(runId), concurrency: 4, log },
        handler: async ({ data }) => {
          const task = numberOf(data);
          handled.set(task, (handled.get(task) ?? 0) + 1);
          await publish(own, subjects.result(key(task) as never, "rollout"), data, { messageId: `rollout/${task}` });
        },
      });
    const workers = [worker(streams), worker(other)];
    const lost = await cluster.leaderOf(streamNames.prompts);
    const done = Promise.all(
      Array.from({ length: 4 }, async (_, lane) => {
        for (let task = lane; task < tasks; task += 4) {
          if (task === tasks / 3) await cluster.kill(lost);
          await publish(streams, subjects.prompt(key(task) as never, ""), bytesOf(task), { messageId: `prompt/${task}` });
          await publish(streams, subjects.account(runId, 2n, task), bytesOf(task), { messageId: `account/${task}` });
          if (lane === 0) await counter.put("step", String(task));
        }
      }),
    );
    await done;
    const all = Array.from({ length: tasks }, (_, task) => task);
    const results = () => readAll(streams, streamNames.results, subjects.results(runId));
    await eventually("every task has its result", async () => (await results()).length >= tasks, 60_000, 200);
    expect((await results()).map(({ data }) => numberOf(data)).sort((a, b) => a - b)).toEqual(all);
    expect([...handled.keys()].sort((a, b) => a - b)).toEqual(all);
    const accounts = await readAll(streams, streamNames.ledger, `retort.ledger.${runId}.2.*`);
    expect(accounts.map(({ data }) => numberOf(data)).sort((a, b) => a - b)).toEqual(all);
    expect(numberOf((await counter.get("step"))!.value)).toBe(tasks - 4);
    await Promise.all(workers.map((one) => one.stop()));
    expect(await cluster.leaderOf(streamNames.prompts)).not.toBe(lost);
    cluster.revive(lost);
  });
});

describe("copies on several servers", () => {
  it("are refused where NATS is one server, with the way out", async () => {
    const nats = await TestNats.start();
    try {
      const streams = await nats.connect("test", 3);
      await expect(ensureStorage(streams)).rejects.toMatchObject({
        code: "FailedPrecondition",
        message: expect.stringMatching(
          /^--nats-replicas is 3, and NATS isn't a cluster of so many servers .*; leave it out, or add servers$/,
        ),
      });
    } finally {
      await nats.stop();
    }
  });
});
