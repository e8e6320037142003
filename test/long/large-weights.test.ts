import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryStore } from "../../services/shared/flow/weights/directory-store.js";
import { NatsStore } from "../../services/shared/flow/weights/nats-store.js";
import type { WeightStore } from "../../services/shared/flow/weights/store.js";
import { readTensors } from "../../services/shared/ml/models/safetensors/safetensors-file.js";
import { type WrittenTensor, writeShards } from "../../services/shared/ml/models/safetensors/write-shards.js";
import { TestNats } from "../support/servers/nats.js";

const pieceBytes = 1 << 24;
const pieces = 90;
const last = Float32Array.from({ length: 1000 }, (_, i) => i / 7);

/** Three tensors of 1.5 GB whose bytes are made as they are written, and a small one behind them. */
const tensors: WrittenTensor[] = [
  ...["a", "b", "c"].map((name, n) => ({
    ...{ name, dtype: "F32", shape: [(pieces * pieceBytes) / 4], bytes: pieces * pieceBytes },
    *read() {
      for (let i = 0; i < pieces; i++) yield new Uint8Array(pieceBytes).fill(16 * n + (i % 16));
    },
  })),
  { name: "z", dtype: "F32", shape: [1000], bytes: 4000, read: () => [new Uint8Array(last.buffer)] },
];
/** One by one: an iterable would be taken as what is in memory. */
const made = tensors.map((tensor) => ({
  ...tensor,
  async *read() {
    yield* tensor.read();
  },
}));

describe("weights of more than 4 GiB in one file", () => {
  let root: string;
  let nats: TestNats;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-large-"));
    nats = await TestNats.start();
  });
  afterAll(async () => {
    await nats.stop();
    await rm(root, { recursive: true });
  });

  it.each<[string, () => Promise<WeightStore>]>([
    ["a directory", async () => new DirectoryStore(join(root, "directory"))],
    ["NATS", async () => new NatsStore(await nats.connect(), join(root, "nats"))],
  ])(
    "are stored in %s, fetched and read, within a few hundred megabytes of memory",
    async (_, open) => {
      const store = await open();
      const directory = await store.stage("run", 1n);
      const [file] = await writeShards(directory, made, { shardBytes: 1e10, sync: false });
      expect(file!.sizeBytes).toBeGreaterThan(2 ** 32);
      await store.put("run", 1, [{ ...file!, path: join(directory, file!.name) }], 1n);
      await rm(directory, { recursive: true });
      const held = store.holding("run", "reader");
      await store.fetch("run", 1, held);
      const path = join(held, "model.safetensors");
      expect((await stat(path)).size).toBe(file!.sizeBytes);
      expect((await readTensors(path, (name) => name === "z")).get("z")!.data).toEqual(last);
      await store.deleteAll("run");
      expect(process.resourceUsage().maxRSS / 1024).toBeLessThan(900);
    },
    600_000,
  );
});
