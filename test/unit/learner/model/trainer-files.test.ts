import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrainerState, writeTrainerFiles } from "../../../../services/learner/model/trainer-files.js";
import { float32 } from "../../../../services/shared/ml/graph/tensor.js";

describe("the optimiser's files of a checkpoint", () => {
  const tensors = (first: number) => new Map([["a.weight", float32([first, 2, 3], [3])]]);

  it.each([
    ["with the scale of the loss", { scale: 2 ** 17, updates: 1999 }],
    ["without one", undefined],
  ])("give back what the trainer had, %s", async (_, lossScale) => {
    const directory = await mkdtemp(join(tmpdir(), "retort-trainer-files-"));
    try {
      const files = await writeTrainerFiles(directory, { m: tensors(1), v: tensors(5), updates: 7, lossScale }, undefined);
      expect(files.map(({ name }) => name)).toEqual(["optimizer.safetensors"]);
      await writeFile(join(directory, "state.json"), JSON.stringify({ step: 7, digest: "" }));
      const params = tensors(9);
      expect(await readTrainerState(directory, params)).toEqual({ params, m: tensors(1), v: tensors(5), updates: 7, lossScale });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
