import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { poolOf } from "../../../services/controller/launch/pool-of.js";
import {
  EnsembleMemberSchema,
  type RunSpec,
  RunSpecSchema,
  SharedSpecSchema,
  type TeacherSpec,
} from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

describe("poolOf", () => {
  let model: string;
  beforeEach(async () => {
    model = await mkdtemp(join(tmpdir(), "retort-pool-"));
    await writeFile(join(model, "model.safetensors"), "weights");
  });
  afterEach(() => rm(model, { recursive: true }));

  const specOf = (change: (spec: RunSpec, teacher: TeacherSpec) => void = () => {}): RunSpec => {
    const spec = create(RunSpecSchema, { teachers: [{ model, shared: {} }] });
    change(spec, spec.teachers[0]!);
    return spec;
  };
  const keyOf = async (change?: Parameters<typeof specOf>[0]) => {
    const spec = specOf(change);
    return (await poolOf(spec, spec.teachers[0]!))?.key;
  };

  it("is none for a teacher that isn't shared", async () => {
    const change = (_: RunSpec, teacher: TeacherSpec) => {
      teacher.shared = undefined;
    };
    expect(await keyOf(change)).toBeUndefined();
  });

  it("goes by the name of a model that pods fetch, whatever of it is here", async () => {
    const key = async () => {
      const spec = specOf();
      return (await poolOf(spec, spec.teachers[0]!, new Set([model])))?.key;
    };
    const before = await key();
    await utimes(join(model, "model.safetensors"), new Date(0), new Date(0));
    expect(await key()).toBe(before);
    expect(await keyOf()).not.toBe(before);
  });

  it("is the same for what doesn't concern the model: name, prompts, how long it stays", async () => {
    const change = (spec: RunSpec, teacher: TeacherSpec) => {
      Object.assign(spec, { name: "other", seed: 3n });
      Object.assign(teacher, { name: "math", system: "Be brief.", shared: create(SharedSpecSchema, { keepWarmSeconds: 1 }) });
    };
    expect(await keyOf(change)).toBe(await keyOf());
  });

  it.each<[string, (spec: RunSpec, teacher: TeacherSpec) => void]>([
    ["model beside it", (_, teacher) => Object.assign(teacher, { ensemble: [create(EnsembleMemberSchema, { model })] })],
    ["vocabulary", (spec) => Object.assign(spec, { vocabSize: 7 })],
    [
      "dtype",
      (spec) => Object.assign(spec, create(RunSpecSchema, { roles: { teacher: { dtype: "bfloat16" } } }), { teachers: spec.teachers }),
    ],
    [
      "device",
      (spec) => Object.assign(spec, create(RunSpecSchema, { roles: { teacher: { device: "cuda" } } }), { teachers: spec.teachers }),
    ],
    [
      "server",
      (spec) =>
        Object.assign(spec.teachers[0]!, create(RunSpecSchema, { teachers: [{ server: { url: "http://gpu:8000/v1" } }] }).teachers[0]!, {
          model,
          shared: spec.teachers[0]!.shared,
        }),
    ],
  ])("is another for another %s", async (_, change) => {
    expect(await keyOf(change)).not.toBe(await keyOf());
  });

  it("is that of the model's own vocabulary for a teacher with its own tokenizer, whatever the run's is", async () => {
    const tokenizer = (vocabSize: number) => (spec: RunSpec, teacher: TeacherSpec) => {
      Object.assign(spec, { vocabSize });
      teacher.tokenizer = "own";
    };
    expect(await keyOf(tokenizer(7))).toBe(await keyOf());
    expect(await keyOf(tokenizer(7))).not.toBe(await keyOf((spec) => Object.assign(spec, { vocabSize: 7 })));
  });

  it("is another for another share of a model in an ensemble", async () => {
    const shared = (weight: number) => (_: RunSpec, teacher: TeacherSpec) => {
      teacher.ensemble = [create(EnsembleMemberSchema, { model, weight })];
    };
    expect(await keyOf(shared(1))).toBe(await keyOf(shared(1)));
    expect(await keyOf(shared(2))).not.toBe(await keyOf(shared(1)));
  });

  it("is another once the model's files have changed", async () => {
    const before = await keyOf();
    await utimes(join(model, "model.safetensors"), 1, 1);
    expect(await keyOf()).not.toBe(before);
  });

  it("stays warm for as long as the spec says, also not at all", async () => {
    const warmOf = async (keepWarmSeconds?: number) => {
      const spec = specOf((_, teacher) => Object.assign(teacher, { shared: create(SharedSpecSchema, { keepWarmSeconds }) }));
      return (await poolOf(spec, spec.teachers[0]!))?.keepWarmMs;
    };
    expect([await warmOf(), await warmOf(0), await warmOf(60)]).toEqual([300_000, 0, 60_000]);
  });
});
