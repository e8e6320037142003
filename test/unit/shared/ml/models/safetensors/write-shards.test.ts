import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel, saveModel } from "../../../../../../services/shared/ml/models/files/model-files.js";
import { writeShards, writtenTensors } from "../../../../../../services/shared/ml/models/safetensors/write-shards.js";
import { smallModel } from "../../../../../support/models/small-model.js";

describe("writeShards()", () => {
  const model = smallModel();
  const bytes = [...model.params.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-shards-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const weightsIn = async () => (await readdir(directory)).filter((name) => name.startsWith("model")).sort();
  const tensors = () => writtenTensors(model.params);

  it("cuts weights into shards with an index, as transformers does, and says what each file is", async () => {
    const files = await saveModel(directory, model, undefined, undefined, { shardBytes: bytes / 3 });
    expect(files.length).toBeGreaterThan(3);
    expect(files.map(({ name }) => name).sort()).toEqual(await weightsIn());
    for (const { name, sizeBytes, digest } of files) {
      const written = await readFile(join(directory, name));
      expect([written.length, createHash("sha256").update(written).digest("hex")]).toEqual([sizeBytes, digest]);
      expect(sizeBytes).toBeLessThan(bytes / 3 + 2000);
    }
    const index = JSON.parse(await readFile(join(directory, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata).toEqual({ total_size: bytes });
    expect(Object.keys(index.weight_map)).toEqual([...model.params.keys()].sort());
    const found = await loadModel(directory);
    for (const [name, tensor] of model.params) expect(found.params.get(name)).toEqual(tensor);
  });

  it.each([
    ["fewer", bytes / 3, bytes],
    ["more", bytes, bytes / 3],
  ])("leaves nothing of an earlier saving when there are %s files than before", async (_, first, second) => {
    await saveModel(directory, smallModel(undefined, 2n), undefined, undefined, { shardBytes: first });
    const files = await writeShards(directory, tensors(), { shardBytes: second });
    expect(await weightsIn()).toEqual(files.map(({ name }) => name).sort());
    const found = await loadModel(directory);
    expect(found.warnings ?? []).toEqual([]);
    for (const [name, tensor] of model.params) expect(found.params.get(name)).toEqual(tensor);
  });

  it("leaves a directory that cannot be read, and not one of two savings, when it ends between two shards", async () => {
    await saveModel(directory, smallModel(undefined, 2n), undefined, undefined, { shardBytes: bytes / 3 });
    const broken = tensors().map((tensor, i, all) =>
      i < all.length - 1
        ? tensor
        : {
            ...tensor,
            async *read() {
              yield new Uint8Array(1);
              throw new Error("killed");
            },
          },
    );
    await expect(writeShards(directory, broken, { shardBytes: bytes / 3 })).rejects.toThrow("killed");
    await expect(loadModel(directory)).rejects.toMatchObject({ code: "NotFound" });
  });
});
