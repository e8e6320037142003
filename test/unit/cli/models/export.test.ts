import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jest } from "@jest/globals";
import { Command } from "commander";
import { addExportCommand } from "../../../../services/cli/models/export.js";
import { found } from "../../../../services/shared/base/found.js";
import { bfloat16Bits, float16Bits } from "../../../../services/shared/ml/graph/round.js";
import { factorSpecs, initialFactors, loraOf } from "../../../../services/shared/ml/models/adapter/layers.js";
import { mergedModel } from "../../../../services/shared/ml/models/adapter/low-rank.js";
import { inMemory } from "../../../../services/shared/ml/models/constants.js";
import { saveAdapter } from "../../../../services/shared/ml/models/files/adapter-files.js";
import { loadAdaptable, loadModel, saveModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { smallModel } from "../../../support/models/small-model.js";

describe("retort export of an adapter's directory", () => {
  const model = smallModel();
  const lora = loraOf(model.config, { r: 2, alpha: 4, useRslora: false, targetModules: ["q_proj"] });
  const factors = new Map(
    [...initialFactors(model.config, lora, 1n)].map(([name, tensor]) => [
      name,
      { ...tensor, data: tensor.data.map((_, i) => Math.sin(i)) },
    ]),
  );
  let root: string;
  let base: string;
  let source: string;
  let out: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-export-test-"));
    [base, source, out] = [join(root, "base"), join(root, "adapter"), join(root, "out")];
    await saveModel(base, model);
    await saveAdapter(source, { lora, factors, base }, model.config, model.tokenizer);
    jest.spyOn(console, "log").mockImplementation(() => {});
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(root, { recursive: true });
  });
  const exported = async (to: string, ...options: string[]) => {
    const program = new Command();
    addExportCommand(program);
    await program.parseAsync(["export", source, "--out", to, ...options], { from: "user" });
  };

  it("leaves one form alone in a directory that had the other", async () => {
    await exported(out);
    expect((await loadAdaptable(out)).adapter?.factors).toEqual(factors);
    await exported(out, "--merged");
    const merged = await loadAdaptable(out);
    expect(merged.adapter).toBeUndefined();
    expect(merged.params).toEqual(mergedModel({ ...model, adapter: { lora, factors, base } }).params);
    await exported(out);
    expect([...(await loadAdaptable(out)).adapter!.factors.keys()]).toEqual(factorSpecs(model.config, lora).map(({ name }) => name));
    await exported(out, "--format", "onnx");
    expect((await readdir(out)).filter((name) => name.startsWith("adapter"))).toEqual([]);
  });

  it("deletes nothing where it was let in by force, and says what is in the way", async () => {
    await mkdir(out);
    await writeFile(join(out, "config.json"), "{}");
    await expect(exported(out, "--force")).rejects.toThrow(
      /out holds the files of a model \(config\.json\).*move them out, or name another/,
    );
    expect((await readdir(out)).filter((name) => !name.startsWith("."))).toEqual(["config.json"]);
  });

  it("is not written over its base", async () => {
    for (const options of [["--force"], ["--force", "--merged"]])
      await expect(exported(base, ...options)).rejects.toThrow(/is the adapter's base model; name another directory/);
    expect((await loadAdaptable(base)).params).toEqual(model.params);
  });
});

describe("retort export --dtype", () => {
  let root: string;
  let source: string;
  let out: string;
  const model = smallModel();
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-export-dtype-"));
    [source, out] = [join(root, "model"), join(root, "out")];
    await saveModel(source, model);
    jest.spyOn(console, "log").mockImplementation(() => {});
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await rm(root, { recursive: true });
  });
  const exported = async (...options: string[]) => {
    const program = new Command();
    addExportCommand(program);
    await program.parseAsync(["export", source, "--out", out, ...options], { from: "user" });
  };

  it.each([
    ["bfloat16", bfloat16Bits],
    ["float16", float16Bits],
  ] as const)("writes weights rounded to %s, and a config that says so", async (dtype, round) => {
    await exported("--dtype", dtype);
    const config = JSON.parse(await readFile(join(out, "config.json"), "utf8"));
    expect([config.torch_dtype, config.dtype]).toEqual([dtype, dtype]);
    const [whole, half] = await Promise.all([source, out].map(async (place) => (await stat(join(place, "model.safetensors"))).size));
    expect(half! / whole!).toBeLessThan(0.6);
    const { params } = await loadModel(out);
    for (const [name, { data }] of model.params) {
      // Read back and rounded again, the numbers are those that were written.
      const read = inMemory(found(params.get(name), name)).data;
      expect(round(read)).toEqual(round(data));
    }
  });

  it("is refused where nothing would honour it", async () => {
    await expect(exported("--dtype", "bfloat16", "--format", "onnx")).rejects.toThrow(/--dtype bfloat16 .*--format onnx writes float32/);
    await expect(exported("--best")).rejects.toThrow(/--best belongs to a run, and .* is a directory/);
  });
});
