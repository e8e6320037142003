import { RetortError } from "../../../../base/errors.js";
import type { Json } from "../../config/fields.js";
import { shown } from "../../config/shown.js";
import type { GgufFields } from "../header/fields.js";

/** Base and scaling of the rotary embedding as config.json has them. */
export interface GgufRope {
  readonly rope_theta: number;
  readonly rope_scaling: Json | null;
}

/**
 * The rotary embedding that a file's metadata says.
 *
 * @param own the metadata below the architecture's name
 * @param factors the tensor rope_freqs.weight, by which the wavelengths of Llama 3.1 and later are divided; [E/2]
 * @throws InvalidArgument naming a key or the tensor that cannot be carried
 */
export function ropeOf(own: GgufFields, headDim: number, factors: readonly number[] | undefined): GgufRope {
  const rope_theta = own.positive("rope.freq_base", 10000);
  const scaling = scalingOf(own);
  if (!factors) return { rope_theta, rope_scaling: scaling };
  if (scaling) throw own.refused("rope.scaling.type", "none beside a tensor rope_freqs.weight");
  return { rope_theta, rope_scaling: llama3Scaling(own, rope_theta, headDim, factors) };
}

function scalingOf(own: GgufFields): Json | null {
  const factor = own.positive("rope.scaling.factor", own.positive("rope.scale_linear", 1));
  // llama.cpp scales linearly where a file has a factor and no type.
  const type = own.text("rope.scaling.type", "linear");
  const original = own.get("rope.scaling.original_context_length");
  if (type === "none" || (type === "linear" && factor === 1)) return null;
  if (type === "linear") return { rope_type: "linear", factor };
  if (type !== "yarn") throw own.refused("rope.scaling.type", "none, linear, yarn");
  if (typeof original !== "number") throw own.refused("rope.scaling.original_context_length", "a whole number, beside yarn");
  const sharpness = {
    beta_fast: own.positive("rope.scaling.yarn_beta_fast", 32),
    beta_slow: own.positive("rope.scaling.yarn_beta_slow", 1),
  };
  return { rope_type: "yarn", factor, original_max_position_embeddings: original, ...sharpness };
}

/**
 * The scaling of Llama 3 whose factors a tensor holds. A file has only the factors: those of low_freq_factor 1 and
 * high_freq_factor 4, as every published model has them, are compared for each original context of a power of two.
 */
function llama3Scaling(own: GgufFields, theta: number, headDim: number, factors: readonly number[]): Json | null {
  const factor = factors.reduce((most, one) => Math.max(most, one), 1);
  if (factor === 1 && factors.every((one) => one === 1)) return null;
  for (let original = 1 << 3; original <= 1 << 22; original *= 2) {
    const expected = llama3Factors(theta, headDim, factor, original);
    if (expected.length === factors.length && expected.every((one, i) => Math.abs(one - (factors[i] ?? 0)) <= 1e-4 * one))
      return { rope_type: "llama3", factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: original };
  }
  throw new RetortError(
    "InvalidArgument",
    `${own.path}: tensor rope_freqs.weight divides frequencies by ${shown(factors)}; supported: factors as Llama 3.1 and later have them; config.json cannot say others: take the model's Hugging Face directory`,
  );
}

/** By what each wavelength λ is divided: 1 up to original/4, `factor` from `original` on, and smoothly between. */
function llama3Factors(theta: number, headDim: number, factor: number, original: number): number[] {
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < original / 4) return 1;
    if (wavelength > original) return factor;
    const smooth = (original / wavelength - 1) / 3;
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
