import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fromJson } from "@bufbuild/protobuf";
import { type RunSpec, RunSpecSchema } from "../../../../services/shared/gen/retort/v1/run_spec_pb.js";
import { problemsOf, warningsOfRun } from "../../../support/runs/check-run.js";

const example = resolve("deploy/examples/num2words");
const own = (teacher: string): RunSpec =>
  fromJson(RunSpecSchema, {
    name: "models",
    student: { model: join(example, "models/student") },
    teachers: [{ model: teacher, tokenizer: "own" }],
    data: { path: join(example, "data/train.jsonl") },
    phases: [{ steps: 1, preset: "opd", sampling: { maxNewTokens: 32 } }],
  });

describe("a run whose teacher has a tokenizer of its own", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-tokenizer-"));
    await cp(join(example, "models/teacher"), directory, { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true }));
  const change = async (edit: (json: Record<string, unknown>) => void) => {
    const path = join(directory, "tokenizer.json");
    const json = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    edit(json);
    await writeFile(path, JSON.stringify(json));
  };

  it("has nothing wrong, and nothing unusual about its words", async () => {
    const words = join(example, "models/teacher-words");
    expect(await problemsOf(own(words))).toEqual([]);
    expect((await warningsOfRun(own(words))).filter(({ field }) => field.startsWith("teachers"))).toEqual([]);
  });

  it("may ask for as many classes as the teacher has, though the student has fewer", async () => {
    const asking = (topK: number, beside = false): RunSpec => {
      const spec = own(join(example, "models/teacher-words"));
      const phase = { steps: 1, preset: "on_policy_kd", lambda: 1, sampling: { maxNewTokens: 32 }, objective: { signal: "top_k", topK } };
      const { phases, teachers } = fromJson(RunSpecSchema, {
        phases: [phase],
        teachers: [{ name: "b", model: join(example, "models/teacher") }],
      });
      return Object.assign(spec, { phases, teachers: beside ? [...spec.teachers, ...teachers] : spec.teachers });
    };
    const fieldPath = "phases[0].objective.topK";
    expect(await problemsOf(asking(99))).toEqual([]);
    expect(await problemsOf(asking(100))).toEqual([{ fieldPath, description: expect.stringContaining("[1, 99") as string }]);
    // A teacher beside it that has the student's.
    expect(await problemsOf(asking(42, true))).toEqual([{ fieldPath, description: expect.stringContaining("[1, 41") as string }]);
  });

  it("is warned where it is the student's after all", async () => {
    const message = expect.stringContaining("has the student's tokenizer") as string;
    expect(await warningsOfRun(own(directory))).toContainEqual({ field: "teachers[0].model", message });
  });

  it.each<[string, (json: Record<string, unknown>) => void, RegExp]>([
    [
      "has no tokens for what the student writes",
      ({ model }) => {
        const { vocab } = model as { vocab: Record<string, number> };
        delete vocab.q;
      },
      /no tokens that say "q", which the student writes \(1 of 41 tokens\)/,
    ],
    [
      "doesn't spell token by token",
      (json) => {
        json.decoder = { type: "WordPiece", prefix: "##", cleanup: false };
      },
      /the decoder WordPiece of tokenizer.json/,
    ],
  ])("refuses one that %s", async (_, edit, message) => {
    await change(edit);
    const description = expect.stringMatching(message) as string;
    expect(await problemsOf(own(directory))).toContainEqual({ fieldPath: "teachers[0].tokenizer", description });
  });
});
