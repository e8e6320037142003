import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tensorsOf } from "../../../../../../services/shared/ml/models/checkpoint/open.js";
import { placedWeights } from "../../../../../../services/shared/ml/models/checkpoint/stored-weights.js";
import { allInMemory } from "../../../../../../services/shared/ml/models/constants.js";
import { readTensors } from "../../../../../../services/shared/ml/models/safetensors/safetensors-file.js";
import { modelFixture } from "../../../../../support/models/fixtures.js";

describe("readTensors()", () => {
  const path = join(modelFixture("llama-linear"), "model.safetensors");
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-safetensors-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("gives what lies in a file, or only what is wanted of it", async () => {
    const all = allInMemory(await placedWeights(await tensorsOf(path)));
    expect(await readTensors(path)).toEqual(all);
    const some = await readTensors(path, (name) => name.endsWith("norm.weight"));
    expect([...some.keys()]).toEqual([...all.keys()].filter((name) => name.endsWith("norm.weight")));
  });

  it.each([
    ["that is cut off", (bytes: Buffer) => bytes.subarray(0, -10), /ends after the file; it is cut off/],
    ["whose header is cut off", (bytes: Buffer) => bytes.subarray(0, 100), /not a safetensors file, or cut off \(100 bytes\)/],
    ["that is empty", () => Buffer.alloc(0), /not a safetensors file, or cut off \(0 bytes\)/],
  ])("refuses a file %s", async (_, change, message) => {
    const broken = join(directory, "broken.safetensors");
    await writeFile(broken, change(await readFile(path)));
    await expect(readTensors(broken)).rejects.toThrow(message);
  });

  it("says what is not there", async () => {
    await expect(readTensors(join(directory, "none.safetensors"))).rejects.toThrow(/none\.safetensors cannot be read \(ENOENT\)/);
  });
});
