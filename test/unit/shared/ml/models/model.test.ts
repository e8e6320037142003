import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { mapModel, saveModel } from "../../../../../services/shared/ml/models/files/model-files.js";
import { digestOf, headDigest, identityOf } from "../../../../../services/shared/ml/models/model.js";
import { headName } from "../../../../../services/shared/ml/models/model-params.js";
import { weightOf } from "../../../../../services/shared/ml/models/param-spec.js";
import { smallModel } from "../../../../support/models/small-model.js";

describe("identityOf()", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-identity-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("is the digest of the weights and that of the head, in memory as in files", async () => {
    const model = smallModel();
    const head = weightOf(model.params, headName(model.config));
    const expected = { digest: digestOf(model.params), headDigest: headDigest({ ...head, softCap: model.config.logitSoftCap }) };
    expect(identityOf(model)).toEqual(expected);
    await saveModel(directory, model);
    expect(identityOf(await mapModel(directory))).toEqual(expected);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses %d, naming file and tensor", async (bad) => {
    const model = smallModel();
    const name = "model.norm.weight";
    const { data, dims } = weightOf(model.params, name);
    const damaged = { ...model, params: new Map(model.params).set(name, float32(data.with(3, bad), dims)) };
    await saveModel(directory, damaged);
    const mapped = await mapModel(directory);
    expect(() => identityOf(mapped)).toThrow(
      expect.objectContaining({
        code: "InvalidArgument",
        message: expect.stringMatching(/model\.safetensors: tensor model\.norm\.weight holds .*\(element 3\)/),
      }),
    );
  });
});
