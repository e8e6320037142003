import { createHash, type Hash } from "node:crypto";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { deriveSeed, normals } from "../../base/random.js";
import { isInFile } from "../graph/file-tensor.js";
import { float32, type Tensor } from "../graph/tensor.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { architectureOf } from "./architectures/table.js";
import type { ModelConfig } from "./config/model-config.js";
import { type Constants, float32Pieces, unrounded, type Weight } from "./constants.js";
import type { Adapter } from "./lora.js";
import { headName, paramSpecs } from "./model-params.js";
import { elementsOf, type ParamSpec, type Weights } from "./param-spec.js";
import { parseConfig } from "./parse-config.js";
import { firstNonFinite } from "./safetensors/widen.js";

/** A model: what it computes, its weights, in memory where nothing else is said, and its words. */
export interface Model<W extends Constants = Weights> {
  readonly config: ModelConfig;
  readonly params: W;
  readonly tokenizer: Tokenizer;
  /** config.json as it came, kept for saving. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** What is strange about the directory it came from, and allowed. */
  readonly warnings?: readonly string[];
  /** What is added to `params`, which are the base model's. */
  readonly adapter?: Adapter;
}

/**
 * SHA-256 over names, dimensions and bytes, as float32, of the weights in order of name, hexadecimal: the identity of a model.
 * Weights that were rounded count as their checkpoint has them.
 */
export function digestOf(weights: Constants): string {
  return digestOfPieces(weights, () => {});
}

/** As {@link digestOf}. @param onPiece hears of each weight's numbers, piece by piece, before they are hashed */
function digestOfPieces(weights: Constants, onPiece: (name: string, piece: Float32Array) => void): string {
  const hash = createHash("sha256");
  for (const [name, weight] of [...unrounded(weights)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}[${weight.dims}]`);
    for (const piece of float32Pieces(weight)) {
      onPiece(name, piece);
      hash.update(bytesOver(piece));
    }
  }
  return hash.digest("hex");
}

const bytesOver = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** What tells a model's weights from any other's: its {@link digestOf}, and its head's {@link headDigest}. */
export interface WeightsIdentity {
  readonly digest: string;
  readonly headDigest: string;
}

/**
 * The identity of a model's weights, an adapter's factors among them. Each number is read once, and looked at.
 *
 * @throws InvalidArgument naming file and weight if one holds an infinity or NaN
 */
export function identityOf({ config, params, adapter }: Model<Constants>): WeightsIdentity {
  const name = headName(config);
  const head = headHash(weightNamed(params, name).dims, config.logitSoftCap);
  const seen = new Map<string, number>();
  const digest = digestOfPieces(new Map([...params, ...(adapter?.factors ?? [])]), (weight, piece) => {
    const bad = firstNonFinite(new Uint32Array(piece.buffer, piece.byteOffset, piece.length));
    const before = seen.get(weight) ?? 0;
    if (bad >= 0) throw notFinite(weight, params.get(weight), before + bad);
    seen.set(weight, before + piece.length);
    if (weight === name) head.update(bytesOver(piece));
  });
  return { digest, headDigest: head.digest("hex") };
}

const weightNamed = (weights: Constants, name: string): Weight => found(weights.get(name), `weight ${name}`);

const notFinite = (name: string, weight: Weight | undefined, element: number): RetortError =>
  new RetortError(
    "InvalidArgument",
    `${weight && isInFile(weight) ? `${weight.path}: ` : ""}tensor ${name} holds an infinity or NaN (element ${element}); a model with such a weight computes nothing: take an earlier checkpoint, or download it again`,
  );

/** What turns hidden states into logits: weights [V, D], and c where the family makes c · tanh(logit / c) of each logit. */
export interface Head extends Tensor<"float32"> {
  readonly softCap?: number | undefined;
}

/** Heads of models whose distributions are mixed, each with its share; the shares add up to 1. */
export interface MixedHead {
  readonly parts: readonly { readonly head: Head; readonly share: number }[];
}

/** What turns the hidden states of a teacher into log-probabilities. */
export type TeacherHead = Head | MixedHead;

/** The heads that a teacher's states go through, each with its share. */
export const headParts = (head: TeacherHead): MixedHead["parts"] => ("parts" in head ? head.parts : [{ head, share: 1 }]);

/** SHA-256 over the digests of several models, or of their heads, and their shares in a mixture, hexadecimal. */
export const mixtureDigest = (parts: readonly { readonly digest: string; readonly share: number }[]): string =>
  createHash("sha256")
    .update(`mixture ${parts.map(({ digest, share }) => `${share}:${digest}`).join(" ")}`)
    .digest("hex");

/** SHA-256 over a head's dimensions, its cap, if it has one, and the bytes of its weights as float32, hexadecimal; see {@link digestOf}. */
export function headDigest({ softCap, ...head }: Weight & Pick<Head, "softCap">): string {
  const weight = unrounded(new Map([["head", head]])).get("head") ?? head;
  const hash = headHash(weight.dims, softCap);
  for (const piece of float32Pieces(weight)) hash.update(bytesOver(piece));
  return hash.digest("hex");
}

/** Names the weights of a teacher's head: {@link headDigest} of one model's, {@link mixtureDigest} of several's. */
export const teacherHeadDigest = (head: TeacherHead): string =>
  "parts" in head ? mixtureDigest(head.parts.map((part) => ({ digest: headDigest(part.head), share: part.share }))) : headDigest(head);

/** A head's hash before its numbers. */
const headHash = (dims: readonly number[], softCap: number | undefined): Hash =>
  createHash("sha256").update(`[${dims}]${softCap === undefined ? "" : ` cap ${softCap}`}`);

/**
 * A model from scratch, with weights as its family begins: in Llama's, matrices from N(0, initializer_range²), norms 1, biases 0.
 * The same config and seed give the same bits.
 */
export function initModel(rawConfig: Readonly<Record<string, unknown>>, tokenizer: Tokenizer, seed: bigint): Model {
  const config = parseConfig(rawConfig);
  const { initial } = architectureOf(config);
  const params = new Map(
    paramSpecs(config).map((spec, index) => {
      const { name, dims } = spec;
      const size = elementsOf([spec]);
      const value = initial(spec, config);
      const draw = (scale: number) => normals(deriveSeed(seed, index), size, config.initializerRange * scale);
      if (typeof value === "number") return [name, float32(new Float32Array(size).fill(value), dims)];
      const data = draw(value === "normal" ? 1 : value.normal);
      return [name, float32(data, dims)];
    }),
  );
  return { config, params, tokenizer, rawConfig };
}

/** Checks that weights are exactly those that a config calls for. @throws InvalidArgument naming file and tensor */
export function checkWeights(specs: readonly ParamSpec[], weights: ReadonlyMap<string, { dims: readonly number[] }>, file: string): void {
  const known = new Set(specs.map(({ name }) => name));
  for (const spec of specs) {
    const { name, dims } = spec;
    const weight = weights.get(name);
    if (!weight) throw missing(spec, file);
    if (weight.dims.join() !== dims.join()) {
      throw new RetortError("InvalidArgument", `${file}: tensor ${name} has shape [${weight.dims}]; config.json calls for [${dims}]`);
    }
  }
  for (const name of weights.keys()) {
    if (!known.has(name))
      throw new RetortError(
        "InvalidArgument",
        `${file}: tensor ${name} does not belong to a model of this config.json; take the config.json that the weights were saved with`,
      );
  }
}

function missing({ name, dims, kind }: ParamSpec, file: string): RetortError {
  const way =
    kind === "head"
      ? "; if the model ties its head, say tie_word_embeddings true in config.json; a base model or a classifier has no head: save it as a …ForCausalLM"
      : "; take the config.json that the weights were saved with, or copy all files again";
  return new RetortError("InvalidArgument", `${file}: tensor ${name} is missing; config.json calls for it with shape [${dims}]${way}`);
}
