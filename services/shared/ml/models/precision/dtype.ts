import { RetortError } from "../../../base/errors.js";
import { type Constant, isInFile } from "../../graph/file-tensor.js";
import { bfloat16Bits, firstTooLarge, float16Bits } from "../../graph/round.js";
import { borrow, giveBack } from "../../graph/scratch.js";
import { dtypeInfo } from "../../graph/tensor.js";
import { TemporaryWeights } from "../../runtime/temporary-weights.js";
import { openLanguageModel } from "../checkpoint/check.js";
import { dtypeOf } from "../checkpoint/stored-weights.js";
import type { ModelConfig } from "../config/model-config.js";
import { type Constants, float32Pieces, type Weight } from "../constants.js";
import { headName, paramSpecs } from "../model-params.js";
import type { LinearLayout } from "../param-spec.js";
import type { FloatDtype } from "../safetensors/widen.js";
import { quantised } from "./quantise.js";
import type { WeightDtype } from "./weight-dtypes.js";

/** The element type of a model directory's weights; float32, which loses nothing, where they have several. @throws as {@link openLanguageModel} */
export const storedDtype = async (directory: string): Promise<FloatDtype> => dtypeOf((await openLanguageModel(directory)).tensors);

/** Weights at an element type. */
export interface WeightsAt {
  readonly weights: Constants;
  /** Removes what was written for them; sessions that have mapped it keep it. */
  close(): void;
}

/**
 * Weights at an element type, for graphs that have them as constants. What lies in a file at that type, aligned, is used where
 * it lies; what doesn't is converted into a file of our own, piece by piece. Weights in memory stay there in float32.
 *
 * @throws InvalidArgument naming a weight with a number that the type cannot hold
 */
export function weightsAt(config: ModelConfig, weights: Constants, dtype: WeightDtype): WeightsAt {
  const file = new LazyFile();
  const linears = dtype === "int8" ? linearLayouts(config) : new Map<string, LinearLayout>();
  try {
    const made = [...weights].map(([name, weight]): [string, Weight] => {
      if (dtype !== "int8") return [name, converted(weight, dtype, name, file)];
      const kept = aligned(weight, file);
      const layout = linears.get(name);
      if (!layout) return [name, kept];
      const plain = isInFile(kept) ? kept : file.made.copy(kept);
      return [name, { ...plain, quantised: quantised(kept, layout, file.made) }];
    });
    return { weights: new Map(made), close: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Matrices that inputs are multiplied with, and how they lie. Whether a graph can do that in 8 bits, encoding it decides. */
function linearLayouts(config: ModelConfig): Map<string, LinearLayout> {
  const layouts = paramSpecs(config).flatMap(({ name, dims, linear }) => (linear && dims.length === 2 ? [[name, linear] as const] : []));
  return new Map([...layouts, [headName(config), "outIn"]]);
}

function converted(weight: Weight, dtype: FloatDtype, name: string, file: LazyFile): Weight {
  if (weight.dtype === dtype) return aligned(weight, file);
  if (dtype === "float32") return file.made.append(dtype, weight.dims, bytesOf(float32Pieces(weight)));
  return { ...file.made.append(dtype, weight.dims, rounded(weight, dtype, name)), origin: weight };
}

function* bytesOf(pieces: Iterable<Float32Array>): Generator<Uint8Array> {
  for (const { buffer, byteOffset, byteLength } of pieces) yield new Uint8Array(buffer, byteOffset, byteLength);
}

function* rounded(weight: Constant, dtype: "float16" | "bfloat16", name: string): Generator<Uint8Array> {
  const round = dtype === "float16" ? float16Bits : bfloat16Bits;
  const buffer = borrow();
  let before = 0;
  try {
    for (const piece of float32Pieces(weight)) {
      const bits = round(piece, new Uint16Array(buffer.buffer, 0, piece.length));
      const at = firstTooLarge(bits, dtype);
      if (at >= 0)
        throw new RetortError(
          "InvalidArgument",
          `weight ${name} holds ${piece[at]} (element ${before + at}), more than ${dtype} can hold; take ${dtype === "float16" ? "bfloat16 or " : ""}float32`,
          { fieldPath: "dtype" },
        );
      before += piece.length;
      yield buffer.subarray(0, bits.byteLength);
    }
  } finally {
    giveBack(buffer);
  }
}

/** A weight that a session can map. */
const aligned = (weight: Weight, file: LazyFile): Weight =>
  isInFile(weight) && weight.offset % dtypeInfo[weight.dtype].bytes !== 0 ? file.made.copy(weight) : weight;

/** A file that is there as soon as something is written to it. */
class LazyFile {
  #file: TemporaryWeights | undefined;

  get made(): TemporaryWeights {
    this.#file ??= new TemporaryWeights();
    return this.#file;
  }

  close(): void {
    this.#file?.close();
  }
}
