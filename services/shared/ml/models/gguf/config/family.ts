import type { Json } from "../../config/fields.js";
import type { GgufFields } from "../header/fields.js";

/** Sizes that every decoder has. */
export interface Sizes {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** A family of models in GGUF files: how it becomes a Hugging Face directory. */
export interface GgufFamily {
  /** Hugging Face's `model_type`, and the class in `architectures`. */
  readonly modelType: string;
  readonly className: string;
  /** Whether the rows of queries and keys lie interleaved in each head. */
  readonly interleaved: boolean;
  /** Whether norms are stored with 1 added. */
  readonly normsPlusOne: boolean;
  /** Hugging Face's names of the parts of a layer, by those of GGUF. */
  readonly parts: Readonly<Record<string, string>>;
  /**
   * Keys of config.json that only this family has.
   *
   * @param own the metadata below the architecture's name
   * @param has whether the file has a tensor
   */
  readonly config: (own: GgufFields, sizes: Sizes, has: (tensor: string) => boolean) => Json;
}
