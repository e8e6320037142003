import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { signalFor } from "../../../../services/shared/codec/signal-spec.js";
import { specRootsOf } from "../../../../services/shared/flow/runs/paths.js";
import { resolveRun } from "../../../../services/shared/flow/runs/resolve.js";
import {
  EnsembleMemberSchema,
  EvaluationSpecSchema,
  RewardSpecSchema,
  RolesSpecSchema,
  type RunSpec,
  RunSpecSchema,
} from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { initialFactors, loraOf } from "../../../../services/shared/ml/models/adapter/layers.js";
import { saveAdapter } from "../../../../services/shared/ml/models/files/adapter-files.js";
import { loadModel, saveModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../../../services/shared/ml/models/model.js";
import { Tokenizer } from "../../../../services/shared/ml/text/tokenizer.js";
import { encodeSafetensors } from "../../../support/models/encode-safetensors.js";
import { smallConfigs } from "../../../support/models/small-model.js";
import { problemsOf, warningsOfRun } from "../../../support/runs/check-run.js";

const example = resolve("deploy/examples/num2words");
const specOf = (teacher: string, phase: Record<string, unknown> = {}, student = join(example, "models/student")): RunSpec =>
  fromJson(RunSpecSchema, {
    name: "models",
    student: { model: student },
    teachers: [{ model: teacher }],
    data: { path: join(example, "data/train.jsonl") },
    phases: [{ steps: 1, ...phase, sampling: { maxNewTokens: 32, ...(phase.sampling as object) } }],
  } as JsonValue);

describe("a run's models", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-models-"));
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      await cp(join(example, "models/teacher", file), join(directory, file));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const change = async (file: string, edit: (json: Record<string, unknown>) => void) => {
    const json = JSON.parse(await readFile(join(directory, file), "utf8")) as Record<string, unknown>;
    edit(json);
    await writeFile(join(directory, file), JSON.stringify(json));
  };

  it("may be mixed with others, each of which is looked at by its field", async () => {
    const [student, teacher] = ["student", "teacher"].map((name) => join(example, "models", name)) as [string, string];
    const spec = (...models: string[]) => {
      const one = specOf(teacher);
      one.teachers[0]!.ensemble = models.map((model) => create(EnsembleMemberSchema, { model }));
      return one;
    };
    expect(await problemsOf(spec(student))).toEqual([]);
    await change("tokenizer.json", (json) => {
      const { vocab } = json.model as { vocab: Record<string, number> };
      [vocab.a, vocab.b] = [vocab.b!, vocab.a!];
    });
    expect(await problemsOf(spec(student, directory, join(directory, "gone")))).toEqual([
      { fieldPath: "teachers[0].ensemble[2].model", description: expect.stringMatching(/gone/) },
      {
        fieldPath: "teachers[0].ensemble[1].model",
        description: expect.stringMatching(/^model 3 of the ensemble "default" has another vocabulary/),
      },
    ]);
    const narrow = specRootsOf({ roots: [teacher, student, join(example, "data")].join() });
    expect(await problemsOf(spec(directory), narrow)).toMatchObject([{ fieldPath: "teachers[0].ensemble[0].model" }]);
  });

  it("may be an adapter and its base, if a spec may name both", async () => {
    const adapter = join(directory, "adapter");
    const model = await loadModel(join(example, "models/student"));
    const lora = loraOf(model.config, { r: 2, alpha: 2, useRslora: false, targetModules: ["q_proj"] });
    const base = join(example, "models/student");
    const factors = initialFactors(model.config, lora, 1n);
    await saveAdapter(adapter, { lora, base, factors }, model.config, model.tokenizer);
    expect(await problemsOf(specOf(directory, {}, adapter))).toEqual([]);
    expect(await problemsOf(specOf(adapter))).toEqual([]);
    const permitted = [directory, join(example, "data"), join(example, "models")].join();
    expect(await problemsOf(specOf(directory, {}, adapter), specRootsOf({ roots: permitted }))).toEqual([]);
    const narrow = [directory, join(example, "data")].join();
    expect(await problemsOf(specOf(directory, {}, adapter), specRootsOf({ roots: narrow }))).toEqual([
      {
        fieldPath: "student.model",
        description: expect.stringMatching(/^is an adapter whose base model is .*models\/student, which is in none of the directories/),
      },
    ]);
    const lost = join(directory, "lost");
    await saveAdapter(lost, { lora, base: join(directory, "gone"), factors }, model.config, model.tokenizer);
    expect(await problemsOf(specOf(lost, {}, lost))).toEqual([
      { fieldPath: "student.model", description: expect.stringMatching(/base_model_name_or_path is .*gone, and no directory is there/) },
      {
        fieldPath: "teachers[0].model",
        description: expect.stringMatching(/base_model_name_or_path is .*gone, and no directory is there/),
      },
    ]);
  });

  it("have the prompts that their teachers read, which may leave no room", async () => {
    const spec = specOf(directory, { preset: "opsd", sampling: { maxNewTokens: 40 } });
    expect(await problemsOf(spec)).toEqual([
      { fieldPath: "teachers[0].promptTemplate", description: expect.stringMatching(/^phases\[0\] is opsd.*data\.teacherPromptField$/) },
    ]);
    spec.teachers[0]!.promptTemplate = "{{ completion }} {{ prompt }}";
    expect(await warningsOfRun(spec)).toEqual([
      {
        field: "teachers[0]",
        message: expect.stringMatching(/"default" has 64 positions: .* for 40 completion tokens in \d+ of the first \d+ rows/),
      },
    ]);
    spec.teachers[0]!.promptTemplate = "{{ hint }}";
    expect(await problemsOf(spec)).toEqual([
      {
        fieldPath: "data.path",
        description: expect.stringMatching(/train\.jsonl line 1 is refused: .*teachers\[0\]\.promptTemplate reads hint/),
      },
    ]);
  });

  // The student's tokens are characters: the shortest reference is "one", the longest has 28 tokens.
  it("may be compared word for word with references that are longer than they may get", async () => {
    const evaluated = (phase: Record<string, unknown>, evaluation: object = {}) =>
      warningsOfRun({
        ...specOf(directory, phase),
        evaluation: create(EvaluationSpecSchema, { path: join(example, "data/held-out.jsonl"), ...evaluation }),
      });
    const field = "phases[0].sampling.maxNewTokens";
    const short = { sampling: { maxNewTokens: 2 } };
    const never = "is 2, and references have 3 tokens or more: exact_match can never be 1; raise it, or compare otherwise";
    expect(await evaluated(short)).toEqual([{ field, message: never }]);
    expect(await evaluated({}, { maxNewTokens: 2 })).toEqual([{ field: "evaluation.maxNewTokens", message: never }]);
    expect(await evaluated(short, { metric: "rouge_l" })).toEqual([]);
    expect(await evaluated(short, { maxNewTokens: 32 })).toEqual([]);
    expect(await evaluated({ sampling: { maxNewTokens: 3 } })).toEqual([
      { field, message: expect.stringMatching(/^is 3, .* can be 1 for at most \d+ of the first \d+ rows; /) },
    ]);
    expect(await evaluated({ sampling: { maxNewTokens: 16 } })).toEqual([]);
    const rewards = [create(RewardSpecSchema, { kind: "exact_match" })];
    expect(await warningsOfRun({ ...specOf(directory, { ...short, preset: "rl", samplesPerPrompt: 4 }), rewards })).toEqual([
      { field, message: expect.stringContaining("the reward exact_match can never be 1") },
    ]);
    const held = create(EvaluationSpecSchema, { holdOut: 10 });
    expect(await warningsOfRun({ ...specOf(directory, short), evaluation: held })).toEqual([{ field, message: never }]);
  });

  it("fit, and give nothing to warn of", async () => {
    expect(await problemsOf(specOf(directory))).toEqual([]);
    expect(await warningsOfRun(specOf(directory))).toEqual([]);
  });

  it("are refused on a device that is known not to run them, each role by itself", async () => {
    const { mixtral } = smallConfigs;
    const sizes = { vocab_size: 41, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 1, max_position_embeddings: 96 };
    await saveModel(directory, initModel({ ...sizes, ...mixtral }, await Tokenizer.load(directory), 1n));
    const on = (student: string, teacher: string, roles: Record<string, unknown>) =>
      problemsOf(Object.assign(specOf(teacher, {}, student), { roles: fromJson(RolesSpecSchema, roles as JsonValue) }));
    const cuda = { device: "cuda" };
    const plain = join(example, "models/student");
    const why = "device cuda cannot run models of experts (mixtral) yet: use device cpu, or a model without experts";
    expect(await on(directory, plain, { student: cuda, teacher: cuda, learner: cuda })).toEqual([
      { fieldPath: "roles.student.device", description: `the student: ${why}` },
      { fieldPath: "roles.learner.device", description: `the student: ${why}` },
    ]);
    expect(await on(plain, directory, { student: cuda, teacher: cuda, learner: cuda })).toEqual([
      { fieldPath: "roles.teacher.device", description: `the teacher "default": ${why}` },
    ]);
    expect(await on(directory, directory, { student: { device: "cpu" } })).toEqual([]);
  });

  it.each(["student", "teacher", "learner", "reward"])("are refused on webgpu whatever they are, with the way out: %s", async (role) => {
    const spec = Object.assign(specOf(directory), { roles: fromJson(RolesSpecSchema, { [role]: { device: "webgpu" } }) });
    expect(await problemsOf(spec)).toEqual([
      {
        fieldPath: `roles.${role}.device`,
        description: expect.stringMatching(/^device webgpu is refused: .*FusedMatMul.*use device cpu, or cuda$/),
      },
    ]);
  });

  it("may have other (padded) rows: distributions range over those that both have, and the run says so", async () => {
    await change("config.json", (config) => {
      config.vocab_size = 64;
    });
    const config = JSON.parse(await readFile(join(directory, "config.json"), "utf8")) as Record<string, unknown>;
    const { params } = initModel(config, await Tokenizer.load(directory), 1n);
    await writeFile(join(directory, "model.safetensors"), Buffer.concat([...encodeSafetensors(params)]));
    expect(await problemsOf(specOf(directory))).toEqual([]);
    expect(await warningsOfRun(specOf(directory))).toEqual([
      {
        field: "teachers[0].model",
        message:
          'the teacher "default" has 64 rows of vocabulary: distributions range over the first 41, which all models have, renormalised; 23 are left out',
      },
    ]);
    const asked = (vocabSize: number) => problemsOf(Object.assign(specOf(directory), { vocabSize }));
    expect(await asked(41)).toEqual([]);
    expect(await asked(42)).toEqual([{ fieldPath: "vocabSize", description: expect.stringMatching(/is 42, and the student has 41 rows/) }]);
    expect(await asked(40)).toEqual([
      {
        fieldPath: "vocabSize",
        description: expect.stringMatching(/range over 40 rows, and the tokenizer of the student has ids up to 40/),
      },
    ]);
  });

  it("may have more tokens than one another, and other names of special tokens, and say so", async () => {
    await change("tokenizer.json", (tokenizer) => {
      (tokenizer.added_tokens as object[]).push({ ...(tokenizer.added_tokens as object[])[0], id: 41, content: "<more>" });
    });
    await change("tokenizer_config.json", (config) => {
      config.eos_token = "<s>";
    });
    await change("config.json", (config) => {
      config.vocab_size = 48;
    });
    const config = JSON.parse(await readFile(join(directory, "config.json"), "utf8")) as Record<string, unknown>;
    const { params } = initModel(config, await Tokenizer.load(directory), 1n);
    await writeFile(join(directory, "model.safetensors"), Buffer.concat([...encodeSafetensors(params)]));
    // The student has no row for the teacher's further token.
    expect(await problemsOf(specOf(directory))).toEqual([
      {
        fieldPath: "teachers[0].model",
        description: expect.stringMatching(/range over 41 rows, and the tokenizer of the teacher "default"/),
      },
    ]);
    // One that has gets to know what is unusual.
    const student = join(directory, "student");
    for (const file of ["config.json", "model.safetensors"]) await cp(join(directory, file), join(student, file));
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) await cp(join(example, "models/student", file), join(student, file));
    const messages = (await warningsOfRun(specOf(directory, {}, student))).map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringContaining('the teacher "default" has tokens that the student has not: <more>'));
    expect(messages).toContainEqual(expect.stringMatching(/names other special tokens.*eos is <s> \(1\) there and <\/s> \(2\) here/));
    expect(messages).toContainEqual(expect.stringContaining("turns text into ids otherwise than the student"));
  });

  it("are refused with other words", async () => {
    await change("tokenizer.json", (tokenizer) => {
      (tokenizer.added_tokens as { content: string }[])[0]!.content = "<other>";
      const { vocab } = tokenizer.model as { vocab: Record<string, number> };
      vocab["<other>"] = vocab["<pad>"]!;
      delete vocab["<pad>"];
    });
    const [problem] = await problemsOf(specOf(directory));
    expect(problem!.description).toMatch(
      /another vocabulary than the student: id 0 is "<pad>" to the student and "<other>" to the teacher/,
    );
  });

  it("are warned of when they end texts by different tokens", async () => {
    await change("config.json", (config) => {
      config.eos_token_id = 7;
    });
    expect(await problemsOf(specOf(directory))).toEqual([]);
    expect(await warningsOfRun(specOf(directory))).toEqual([
      { field: "teachers[0].model", message: expect.stringMatching(/ends texts with token 7, the student with \d+: .*eos_token_id/) },
    ]);
  });

  it("are warned of when the teacher knows another chat template", async () => {
    await writeFile(join(directory, "chat_template.jinja"), "{% for m in messages %}[{{ m.content }}]{% endfor %}");
    expect(await warningsOfRun(specOf(directory))).toEqual([
      { field: "teachers[0].model", message: expect.stringMatching(/ends an answer with no special token/) },
      { field: "teachers[0].model", message: expect.stringMatching(/another chat template than the student.*chat_template/) },
    ]);
  });

  it.each([0.001, 0.97])("are warned of a jsd that hardly moves them: β = %d", async (beta) => {
    expect(await warningsOfRun(specOf(directory, { objective: { divergence: "jsd", beta } }))).toMatchObject([
      { field: "phases[0].objective.beta" },
    ]);
    expect(await warningsOfRun(specOf(directory, { objective: { divergence: "jsd", beta, normalizeJsd: true } }))).toEqual([]);
  });

  it("are warned of a distance that doesn't see which tokens are meant", async () => {
    expect(await warningsOfRun(specOf(directory, { objective: { divergence: "uld", signal: "top_k", topK: 8 } }))).toEqual([
      { field: "phases[0].objective.divergence", message: expect.stringMatching(/is uld, which compares probabilities by rank/) },
    ]);
  });
});

describe("the three temperatures of a run", () => {
  it("are three: how samples are drawn never enters the loss, nor what the teacher is asked", () => {
    const phase = (fields: Record<string, unknown>) => resolveRun(specOf("x", fields)).phases[0]!;
    const drawn = phase({ sampling: { temperature: 0.3 } });
    expect(drawn.sampling.temperature).toBe(0.3);
    expect(drawn.objective).toMatchObject({ studentTemperature: 1, teacherTemperature: 1 });
    expect(signalFor(drawn.objective)).toMatchObject({ temperature: 1 });
    const judged = phase({ sampling: { temperature: 0.3 }, objective: { teacherTemperature: 2, studentTemperature: 1.5 } });
    expect(signalFor(judged.objective)).toMatchObject({ temperature: 2 });
    expect(judged).toMatchObject({ sampling: { temperature: 0.3 }, objective: { studentTemperature: 1.5 } });
  });
});
