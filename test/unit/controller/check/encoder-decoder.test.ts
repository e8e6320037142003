import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { familyProblems } from "../../../../services/controller/check/init-family.js";
import { InitSpecSchema, type RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { saveModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../../../services/shared/ml/models/model.js";
import { Tokenizer } from "../../../../services/shared/ml/text/tokenizer.js";
import { problemsOf, warningsOfRun } from "../../../support/runs/check-run.js";
import { specOf } from "../../../support/runs/run-spec.js";

const example = resolve("deploy/examples/num2words");
const decoder = join(example, "models/student");

describe("a run with an encoder-decoder", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-t5-"));
    const tokenizer = await Tokenizer.load(decoder);
    const sizes = { d_model: 8, d_ff: 8, d_kv: 4, num_heads: 2, num_layers: 1, vocab_size: tokenizer.size };
    await saveModel(directory, initModel({ model_type: "t5", ...sizes, pad_token_id: 0, eos_token_id: 2 }, tokenizer, 1n));
  });
  afterAll(() => rm(directory, { recursive: true }));

  type Init = MessageInitShape<typeof RunSpecSchema>;
  const runOf = (student: string, teacher: string, data: object = {}) =>
    specOf({
      student: { model: student },
      teachers: [{ model: teacher }],
      data: { path: join(example, "data/train.jsonl"), ...data },
      phases: [{ steps: 10, sampling: { maxNewTokens: 32 } }],
    } as Exclude<Init, { $typeName: string }>);

  it("is fine where student and teacher both are one", async () => {
    expect(await problemsOf(runOf(directory, directory))).toEqual([]);
    expect(await warningsOfRun(runOf(directory, directory))).toEqual([]);
  });

  it.each([
    ["student", /the teacher "default" is a decoder and the student an encoder-decoder: .*take a teacher that is an encoder-decoder/],
    ["teacher", /the teacher "default" is an encoder-decoder and the student a decoder: .*take a teacher that is a decoder/],
  ])("is refused where the %s alone is one", async (who, message) => {
    const spec = who === "student" ? runOf(directory, decoder) : runOf(decoder, directory);
    expect(await problemsOf(spec)).toEqual([{ fieldPath: "teachers[0].model", description: expect.stringMatching(message) }]);
  });

  it("is refused where its data are conversations", async () => {
    expect(await problemsOf(runOf(directory, directory, { chat: true }))).toContainEqual({
      fieldPath: "data.path",
      description: expect.stringMatching(/is refused: the model is an encoder-decoder/),
    });
  });
});

describe("familyProblems()", () => {
  const init = { architecture: "t5", hiddenSize: 16, intermediateSize: 32, layers: 2, heads: 4 };

  it("names what an encoder-decoder has not, each with the way out", () => {
    const asked = create(InitSpecSchema, { ...init, kvHeads: 2, maxPositions: 64, ropeTheta: 1e4, initializerRange: 0.02 });
    expect(familyProblems(asked).map(({ fieldPath }) => fieldPath)).toEqual(
      ["kvHeads", "maxPositions", "ropeTheta", "initializerRange"].map((field) => `student.init.${field}`),
    );
    for (const { description } of familyProblems(asked)) expect(description).toMatch(/^is .*, but a t5 .*; leave it out$/);
  });

  it("is what a check of a run says of a student from scratch", async () => {
    const asked = { ...init, architecture: "gpt2", kvHeads: 2, tokenizer: decoder };
    const spec = specOf({ student: { init: asked }, teachers: [{ model: decoder }], data: { path: join(example, "data/train.jsonl") } });
    expect(await problemsOf(spec)).toEqual([{ fieldPath: "student.init.kvHeads", description: "is 2; supported: heads (4)" }]);
  });

  it("finds nothing in what it has, nor in a decoder's", () => {
    expect(familyProblems(create(InitSpecSchema, { ...init, kvHeads: 4, headDim: 8, tieWordEmbeddings: false }))).toEqual([]);
    expect(familyProblems(create(InitSpecSchema, { ...init, architecture: "llama", kvHeads: 2, ropeTheta: 1e4 }))).toEqual([]);
  });
});
