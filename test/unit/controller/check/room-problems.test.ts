import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type RunSpec, RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { problemsOf, warningsOfRun } from "../../../support/runs/check-run.js";

const example = resolve("deploy/examples/num2words");
const student = join(example, "models/student");
/** Positions of the example's models; their tokens are characters, behind a start token. */
const positions = 64;

describe("what a run's models have room for", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-room-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  /** Rows of prompts and completions of so many characters. */
  const rowsOf = async (name: string, ...lengths: readonly (readonly [prompt: number, completion?: number])[]): Promise<string> => {
    const path = join(directory, `${name}.jsonl`);
    const rows = lengths.map(([prompt, completion = 3]) => ({
      prompt: "1".repeat(prompt),
      completion: "o".repeat(completion),
      reference: "one",
    }));
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return path;
  };
  /** The example's teacher with other positions. */
  const teacherWith = async (maxPositions: number): Promise<string> => {
    const path = await mkdtemp(join(directory, "teacher-"));
    for (const file of ["model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      await copyFile(join(example, "models/teacher", file), join(path, file));
    const config = JSON.parse(await readFile(join(example, "models/teacher/config.json"), "utf8"));
    await writeFile(join(path, "config.json"), JSON.stringify({ ...config, max_position_embeddings: maxPositions }));
    return path;
  };
  const specOf = (path: string, fields: Record<string, unknown> = {}): RunSpec =>
    fromJson(RunSpecSchema, {
      name: "room",
      student: { model: student },
      teachers: [{ model: join(example, "models/teacher") }],
      data: { path },
      phases: [{ preset: "on_policy_kd", steps: 1 }],
      ...fields,
    } as JsonValue);
  const phases = (maxNewTokens: number, preset = "on_policy_kd") => ({ phases: [{ preset, steps: 1, sampling: { maxNewTokens } }] });
  const sampling = "phases[0].sampling.maxNewTokens";

  it("is not what completions take by default, where the student is small", async () => {
    expect(await problemsOf(specOf(await rowsOf("short", [4], [9])))).toEqual([
      {
        fieldPath: sampling,
        description: expect.stringMatching(
          /^is 128, the default, the student has 64 positions, and prompts have up to \d+ tokens; lower it \(with 5\d all prompts fit\): no row of .*short\.jsonl fits/,
        ),
      },
    ]);
  });

  it("is told before any row is read, too", async () => {
    const init = { architecture: "llama", hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1, tokenizer: student, maxPositions: 32 };
    const written = { student: { init }, data: { generate: { texts: 8, sampling: { maxNewTokens: 16 } } } };
    expect(await problemsOf(specOf("", { ...written, ...phases(32) }))).toEqual([
      { fieldPath: sampling, description: "is 32, and the student has 32 positions: no prompt fits; set it to 31 or less" },
    ]);
    expect(await problemsOf(specOf("", { ...written, ...phases(31) }))).toEqual([]);
  });

  it("is asked of steps on the dataset by what it has, not by what could be sampled", async () => {
    expect(await problemsOf(specOf(await rowsOf("sft", [4]), { phases: [{ preset: "sft", steps: 1 }] }))).toEqual([]);
    expect(await problemsOf(specOf(await rowsOf("sft-long", [40, 40]), { phases: [{ preset: "sft", steps: 1 }] }))).toEqual([
      {
        fieldPath: "data.path",
        description: expect.stringMatching(
          /^has prompts with their completions of up to 8\d tokens, .*64 positions; .*\(completion too long\)$/,
        ),
      },
    ]);
  });

  it("is not enough for prompts that are longer than the positions, whatever is written behind them", async () => {
    expect(await problemsOf(specOf(await rowsOf("long", [80], [90]), phases(8)))).toEqual([
      {
        fieldPath: sampling,
        description: expect.stringMatching(/up to 9\d tokens; shorten the prompts, or take a model with more positions: no row/),
      },
    ]);
  });

  it("may be enough for some rows, which is warned of", async () => {
    expect(await warningsOfRun(specOf(await rowsOf("some", [4], [50], [60]), phases(16)))).toContainEqual({
      field: sampling,
      message: expect.stringMatching(/: 2 of the 3 rows of .* are left out \(prompt too long\)$/),
    });
    expect(
      await problemsOf(
        specOf(await rowsOf("limited", [60], [4]), { ...phases(16), data: { path: join(directory, "limited.jsonl"), limit: 1 } }),
      ),
    ).toMatchObject([{ fieldPath: sampling }]);
  });

  it("has a bound of the spec's own, which may be the one in the way", async () => {
    const path = await rowsOf("bounded", [20], [24]);
    expect(await problemsOf(specOf(path, { ...phases(16), data: { path, maxPromptTokens: 10 } }))).toEqual([
      { fieldPath: "data.maxPromptTokens", description: expect.stringMatching(/^is 10, and prompts have up to 2\d tokens; raise it/) },
    ]);
  });

  it.each([
    ["rows of its own", { path: "evaluated" }, "evaluation.maxNewTokens"],
    ["the end of the dataset", { holdOut: 1 }, "evaluation.maxNewTokens"],
  ])("is asked of evaluations on %s", async (_, { path, ...rest }: { path?: string; holdOut?: number }, field) => {
    const data = await rowsOf("trained", [4], [4]);
    const evaluation = (maxNewTokens: number) => ({ ...rest, ...(path ? { path: join(directory, `${path}.jsonl`) } : {}), maxNewTokens });
    await rowsOf("evaluated", [4]);
    expect(await problemsOf(specOf(data, { ...phases(8), evaluation: evaluation(positions) }))).toEqual([
      { fieldPath: field, description: expect.stringMatching(/^is 64, the student has 64 positions/) },
    ]);
    expect(await problemsOf(specOf(data, { ...phases(8), evaluation: evaluation(8) }))).toEqual([]);
  });

  it("leaves rows to train on beside those held out", async () => {
    const path = await rowsOf("few", [4], [60]);
    expect(await problemsOf(specOf(path, { ...phases(8), evaluation: { holdOut: 1 } }))).toEqual([
      { fieldPath: "evaluation.holdOut", description: expect.stringMatching(/^is 1, and 1 row of .*few\.jsonl fits the student/) },
    ]);
  });

  it("may be the student's and not its teacher's", async () => {
    const [tiny, small] = [await teacherWith(4), await teacherWith(16)];
    const path = await rowsOf("taught", [8], [9]);
    expect(await problemsOf(specOf(path, { ...phases(16), teachers: [{ model: tiny }] }))).toEqual([
      {
        fieldPath: "teachers[0].model",
        description: expect.stringMatching(/"default" has 4 positions: the prompt .* all 2 rows that it scores/),
      },
    ]);
    expect(await warningsOfRun(specOf(path, { ...phases(16), teachers: [{ model: small }] }))).toContainEqual({
      field: "teachers[0]",
      message: expect.stringMatching(/"default" has 16 positions: .* for 16 completion tokens in 2 of the first 2 rows/),
    });
    const ensemble = [{ model: join(example, "models/teacher"), ensemble: [{ model: tiny }] }];
    expect(await problemsOf(specOf(path, { ...phases(16), teachers: ensemble }))).toMatchObject([
      { fieldPath: "teachers[0].ensemble[0].model" },
    ]);
    const long = [{ model: join(example, "models/teacher"), promptTemplate: `{{ prompt }}${"1".repeat(70)}` }];
    expect(await problemsOf(specOf(path, { ...phases(16, "opsd"), teachers: long }))).toEqual([
      { fieldPath: "teachers[0]", description: expect.stringMatching(/has 64 positions: its own prompt .*shorten the teacher's prompts/) },
    ]);
  });

  it("is asked of a teacher that writes", async () => {
    const path = await rowsOf("written", [8]);
    const generate = (maxNewTokens?: number) => ({ data: { path, generate: maxNewTokens ? { sampling: { maxNewTokens } } : {} } });
    const small = { teachers: [{ model: await teacherWith(16) }], ...phases(40, "sft") };
    expect(await problemsOf(specOf(path, { ...small, ...generate(32) }))).toEqual([
      {
        fieldPath: "data.generate.sampling.maxNewTokens",
        description: expect.stringMatching(
          /^is 32, and the teacher "default" has 16 positions, .* any of its prompts; lower it \(with \d all prompts fit\)$/,
        ),
      },
    ]);
    expect(await problemsOf(specOf(path, { ...small, ...generate() }))).toMatchObject([{ fieldPath: sampling }]);
    expect(await problemsOf(specOf(path, { ...small, ...generate(4) }))).toEqual([]);
    const headroom = { ...phases(8), teachers: small.teachers, evaluation: { path, headroom: true, maxNewTokens: 32 } };
    expect(await problemsOf(specOf(path, headroom))).toMatchObject([{ fieldPath: "evaluation.maxNewTokens" }]);
  });
});
