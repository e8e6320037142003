import type { Value } from "../../graph/graph.js";
import type { Fields, Json } from "../config/fields.js";
import type { KeyMeanings } from "../config/keys.js";
import type { ModelConfig } from "../config/model-config.js";
import type { Pass, Residual } from "../forward/pass.js";
import type { SelfAttention } from "../forward/self-attention.js";
import type { ParamSpec } from "../param-spec.js";
import type { EncoderPart } from "./encoder.js";
import type { SequenceInputs } from "./sequence-inputs.js";

/** A weight within a tensor of a checkpoint. */
export interface Piece {
  readonly name: string;
  readonly dims: readonly number[];
}

/**
 * A family of models: all that tells it from the others. A new family is a file in this folder, which may take over what it
 * shares with another (`{ ...llama, … }`), and a line in the table. Everything that runs or trains a model goes by it.
 */
export interface Architecture {
  /** Stem of its classes in transformers, as in `LlamaForCausalLM`. */
  readonly className: string;
  /** Models of the family that people know, for lists: "Llama 1 to 3.3, TinyLlama". */
  readonly models: string;
  /** What the class of its language model ends with; `ForCausalLM` if absent. */
  readonly headClass?: string;
  readonly keys: KeyMeanings;
  /**
   * The config.json of a model from scratch, where keys differ from a Llama's by more than {@link aliases}; it is given a
   * Llama's. False: none can be asked for, because what asks has no words for parts of it.
   */
  readonly fresh?: ((llamas: Json) => Json) | false;
  /** Other names of the keys that every decoder's config has, as `n_embd` for hidden_size. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** What the names of a base model's weights begin with in a model with a head: `model.`. */
  readonly prefix: string;
  /** Tensors of a checkpoint that are no weights: buffers that follow from the config. */
  readonly buffers: RegExp;
  /** Tensors that bear a layer's number and serve all layers. */
  readonly ofAllLayers?: RegExp;
  /** Tensors that a checkpoint may hold beside a weight that they are copies of, by their names. */
  readonly copies?: Readonly<Record<string, string>>;
  /** Name of the embedding [V, D]: the head too, where a model ties them. */
  readonly embedding: string;
  /** Name of a language model's own head [V, D]. */
  readonly head: string;
  /** Other names that tensors of a checkpoint have, and the names that they stand for. */
  readonly renamed?: readonly (readonly [RegExp, string])[];
  /** The weights that a checkpoint's tensor holds one behind the other, where it is not one itself. */
  readonly pieces?: (name: string, dims: readonly number[], config: ModelConfig) => readonly Piece[] | undefined;
  /** Whether the head is tied goes by the file alone, whatever the config says: a model with a head in its file has its own. */
  readonly headByFile?: boolean;
  /** The model of a config.json. Every key that matters is read or refused. @throws InvalidArgument naming the field */
  readonly parse: (read: Fields) => ModelConfig;
  /** How the config of a saved model spells what programs read otherwise: a decoder's rotary embedding; absent: as it came. */
  readonly spell?: (read: Fields) => Json;
  /** What a config.json says of the head; absent: tie_word_embeddings alone. */
  readonly spellHead?: (config: ModelConfig) => Json;
  /** Every weight from the embedding to the last norm, in the order of the forward pass. */
  readonly params: (config: ModelConfig) => ParamSpec[];
  /** What a weight's elements are in a model from scratch: one number, or `normal` for N(0, initializer_range²), be it scaled. */
  readonly initial: (spec: ParamSpec, config: ModelConfig) => number | "normal" | { readonly normal: number };
  /** What the forward pass of a text is fed, by its config where that decides it; see {@link inputsOf}. */
  readonly inputs: SequenceInputs | ((config: ModelConfig) => SequenceInputs);
  /** The embedded tokens, int32 or int64 ids, as they enter the first block: [B, T, D]. */
  readonly embed: (pass: Pass, ids_BT: Value) => Value;
  /** The attention of a layer. */
  readonly attention: (config: ModelConfig, layer: number) => SelfAttention;
  /**
   * One layer: what it adds to the residual stream. It is written with the operations of a pass, which has two forms: whole
   * sequences, and one token at a time with what came before in a cache.
   */
  readonly block: (pass: Pass, x: Residual, attention: SelfAttention) => void;
  /** The hidden states of the stream behind the last block, as the head reads them: [B, T, D]. */
  readonly finish: (x: Residual, config: ModelConfig) => Value;
  /** The part that reads the prompt, in an encoder-decoder. What is said above is then its decoder's. */
  readonly encoder?: EncoderPart;
}
