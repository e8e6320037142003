import { RetortError } from "../../../base/errors.js";
import { deriveSeed, generator } from "../../../base/random.js";
import { float32 } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import { allLinear, factorNames, type Lora, type LoraSettings } from "../lora.js";
import { bodySpecs } from "../model-params.js";
import { elementsOf, type ParamSpec, type Weights } from "../param-spec.js";

/** The weights of the linear layers that an adapter may change, by the layers' names: those of the blocks. */
export function linearLayers(config: ModelConfig): Map<string, ParamSpec> {
  const linear = bodySpecs(config).filter((spec) => spec.linear);
  return new Map(linear.map((spec) => [spec.name.replace(/\.weight$/, ""), spec]));
}

/**
 * The linear layers that a list of targets names, as PEFT matches them: by the whole name or by its end behind a dot.
 *
 * @returns their names in the order of the forward pass
 */
export function layersOf(config: ModelConfig, targets: readonly string[]): string[] {
  const names = [...linearLayers(config).keys()];
  if (targets.includes(allLinear)) return names;
  return names.filter((name) => targets.some((target) => isNamed(name, target)));
}

const isNamed = (name: string, target: string): boolean => name === target || name.endsWith(`.${target}`);

/** What is wrong with each target that names no linear layer of a model, with its place in the list. */
export function targetProblems(config: ModelConfig, targets: readonly string[]): { readonly at: number; readonly description: string }[] {
  const names = [...linearLayers(config).keys()];
  const known = [...new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  return targets.flatMap((target, at) => {
    if (target === allLinear || names.some((name) => isNamed(name, target))) return [];
    return [
      {
        at,
        description: `the blocks of a ${config.architecture} have no linear layer "${target}"; they have ${known.join(", ")} (${allLinear} names all of them)`,
      },
    ];
  });
}

/** The adapter of a model that settings ask for. @throws InvalidArgument for a target that names no linear layer */
export function loraOf(config: ModelConfig, { targetModules, ...settings }: LoraSettings): Lora {
  const [problem] = targetProblems(config, targetModules);
  if (problem) throw new RetortError("InvalidArgument", `target module ${problem.at}: ${problem.description}`);
  return { ...settings, layers: layersOf(config, targetModules) };
}

/** A and B of every layer, in the order of the forward pass. */
export function factorSpecs(config: ModelConfig, { r, layers }: Lora): ParamSpec[] {
  const linear = linearLayers(config);
  return layers.flatMap((layer): ParamSpec[] => {
    const spec = linear.get(layer);
    if (!spec) throw new RetortError("Internal", `${layer} isn't a linear layer of a ${config.architecture}`);
    const [rows, columns] = spec.dims as [number, number];
    const [out, input] = spec.linear === "inOut" ? [columns, rows] : [rows, columns];
    const { a, b } = factorNames(layer);
    return [
      { name: a, dims: [r, input], kind: "matrix" },
      { name: b, dims: [out, r], kind: "matrix" },
    ];
  });
}

/**
 * Factors as PEFT begins with them: A uniform within ±1/√in (Kaiming's with a = √5), B zero, so that the model is its base.
 * The same seed gives the same bits.
 */
export function initialFactors(config: ModelConfig, lora: Lora, seed: bigint): Weights {
  return new Map(
    factorSpecs(config, lora).map((spec, i) => {
      const { name, dims } = spec;
      const data = new Float32Array(elementsOf([spec]));
      if (i % 2 === 0) fillUniform(data, 1 / Math.sqrt(dims[1] as number), deriveSeed(seed, i));
      return [name, float32(data, dims)];
    }),
  );
}

function fillUniform(data: Float32Array, bound: number, seed: bigint): void {
  const next = generator(seed);
  for (let i = 0; i < data.length; i++) data[i] = bound * ((2 * (next() + 0.5)) / 2 ** 32 - 1);
}
