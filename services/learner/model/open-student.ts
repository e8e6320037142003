import { resolve } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { initialFactors, loraOf } from "../../shared/ml/models/adapter/layers.js";
import { lowRank } from "../../shared/ml/models/adapter/low-rank.js";
import { openAdapter, readAdapter, readAdapterConfig } from "../../shared/ml/models/checkpoint/adapter.js";
import { placesOf } from "../../shared/ml/models/checkpoint/places.js";
import type { Constants } from "../../shared/ml/models/constants.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { loadModel, mapModel } from "../../shared/ml/models/files/model-files.js";
import type { Adapter, Lora, LoraSettings } from "../../shared/ml/models/lora.js";
import { identityOf, initModel, type Model } from "../../shared/ml/models/model.js";
import type { Weights } from "../../shared/ml/models/param-spec.js";
import { storedDtype, weightsAt } from "../../shared/ml/models/precision/dtype.js";
import type { FloatDtype } from "../../shared/ml/models/safetensors/widen.js";
import { type Trainable, wholeModel } from "../../shared/ml/models/trainable.js";
import { narrowed, restRows } from "../../shared/ml/models/vocabulary-rows.js";
import type { TrainerState } from "../../shared/ml/training/optimizer-state.js";
import { type BaseIdentity, checkBase, checkpointWayOut, readTrainerState } from "./trainer-files.js";

/** A new low-rank adapter. */
export interface NewAdapter extends LoraSettings {
  /** Its first numbers follow from it. */
  readonly seed: bigint;
}

/**
 * Where the student comes from: a directory, whose weights are trained, or an adapter on them; or a config to start from
 * scratch with a directory's tokenizer. Of a PEFT adapter's directory the adapter is trained.
 */
export type StudentSource =
  | { readonly directory: string; readonly adapter?: NewAdapter }
  | { readonly config: Readonly<Record<string, unknown>>; readonly tokenizer: string; readonly seed: bigint };

/** How a student is opened. */
export interface StudentOptions {
  /** Directory of a checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
  /** First rows of the vocabulary to use. Default 0: all. */
  readonly rows?: number;
  /**
   * Element type that the base of an adapter is held in, in files that graphs map; what is trained is float32. Default: as its
   * checkpoint has it, float32 if that mixes types.
   */
  readonly dtype?: FloatDtype | undefined;
  /** Decay of an average that is kept of what is trained; by default none is. */
  readonly averageDecay?: number | undefined;
}

/** A student as its trainer begins with it. */
export interface OpenedStudent {
  /** Narrowed to the rows of the vocabulary that are used. The weights of an adapter's base lie in files. */
  readonly model: Model<Constants>;
  readonly trainable: Trainable;
  /** All that the forward pass reads. */
  readonly weights: Constants;
  /** Element type of the weights that aren't trained, or of all. */
  readonly dtype: FloatDtype;
  /** Where an earlier trainer was. */
  readonly state: TrainerState | undefined;
  /** The base model of an adapter. */
  readonly base: BaseIdentity | undefined;
  /** Where it came from; undefined for one that was made from scratch. */
  readonly directory: string | undefined;
  /** First rows of the vocabulary that are used; 0 for all. */
  readonly rows: number;
  /** The rows that are not, of a model that is trained as a whole, and config.json as it says so: what is saved has all rows. */
  readonly rest: Weights;
  readonly wholeConfig: Model["rawConfig"];
}

/**
 * Loads or makes a student.
 *
 * @throws FailedPrecondition for a checkpoint of another adapter, or of another base; InvalidArgument for half precision where
 *   all weights are trained, or cannot hold one; what reading the files throws
 */
export async function openStudent(source: StudentSource, options: StudentOptions = {}): Promise<OpenedStudent> {
  const { checkpoint, rows = 0, dtype = "float32" } = options;
  if ("directory" in source) {
    const adapted = await openAdapted(source);
    if (adapted) return withAdapter(source.directory, adapted, options);
  }
  if (dtype !== "float32")
    throw new RetortError(
      "InvalidArgument",
      `dtype is ${dtype}, and all weights of the student are trained, in float32; leave it out, or train an adapter (student.lora), whose base may be held in ${dtype}`,
      { fieldPath: "dtype" },
    );
  const directory = "directory" in source ? source.directory : undefined;
  const whole = "directory" in source ? await loadModel(source.directory) : await fromScratch(source);
  const model = narrowed(checkpoint ? { ...whole, params: (await loadModel(checkpoint)).params } : whole, rows);
  const state = checkpoint ? await readTrainerState(checkpoint, model.params) : undefined;
  const saved = { directory, rows, rest: restRows(whole, rows), wholeConfig: whole.rawConfig };
  return { ...saved, model, dtype, trainable: wholeModel(model.config), weights: model.params, state, base: undefined };
}

/** A model with an adapter on it. */
type Adapted = Model<Constants> & Required<Pick<Model, "adapter">>;

async function withAdapter(directory: string, whole: Adapted, options: StudentOptions): Promise<OpenedStudent> {
  const { checkpoint, rows = 0, dtype = await storedDtype(directory) } = options;
  const { adapter: initial, ...baseModel } = whole;
  const base = { directory: initial.base, digest: identityOf(baseModel).digest };
  const adapter = checkpoint ? await resumed(checkpoint, whole, initial, base) : initial;
  const cut = narrowed(whole, rows);
  const model = { ...cut, params: weightsAt(cut.config, cut.params, dtype).weights, adapter };
  const weights = new Map([...model.params, ...adapter.factors]);
  const state = checkpoint ? await readTrainerState(checkpoint, adapter.factors) : undefined;
  // An adapter is saved alone.
  const saved = { directory, rows, rest: new Map(), wholeConfig: whole.rawConfig };
  return { ...saved, model, dtype, trainable: lowRank(model.config, adapter.lora), weights, state, base };
}

/** The adapter of a checkpoint, which must be one like the student's on the same base. */
async function resumed(
  checkpoint: string,
  { config }: Pick<Model, "config">,
  { lora, base }: Adapter,
  identity: BaseIdentity,
): Promise<Adapter> {
  await checkBase(checkpoint, identity);
  const saved = await readAdapter(await openAdapter(checkpoint, await readAdapterConfig(checkpoint), config));
  const differ = differences(saved.lora, lora);
  if (differ.length)
    throw new RetortError(
      "FailedPrecondition",
      `the checkpoint ${checkpoint} holds another adapter than the run's: ${differ.join(", ")}; ${checkpointWayOut}`,
    );
  return { ...saved, base };
}

/** The fields in which a checkpoint's adapter is not the run's, each with both values. */
function differences(saved: Lora, own: Lora): string[] {
  const fields = (["r", "alpha", "useRslora"] as const).filter((field) => saved[field] !== own[field]);
  const missing = own.layers.filter((layer) => !saved.layers.includes(layer));
  const more = saved.layers.filter((layer) => !own.layers.includes(layer));
  return [
    ...fields.map((field) => `${field} is ${saved[field]} instead of ${own[field]}`),
    ...(missing.length ? [`it has nothing for ${some(missing)}`] : []),
    ...(more.length ? [`it adapts ${some(more)}`] : []),
  ];
}

const some = ([first, ...others]: readonly string[]): string => (others.length ? `${first} and ${others.length} more layers` : `${first}`);

/** The model of a directory with the adapter that is trained on it; undefined where all of the model is trained. */
async function openAdapted({ directory, adapter }: Extract<StudentSource, { directory: string }>): Promise<Adapted | undefined> {
  if (!adapter && !(await placesOf(directory)).adapter) return undefined;
  const { adapter: own, ...model } = await mapModel(directory);
  if (!adapter) return own && { ...model, adapter: own };
  if (own)
    throw new RetortError(
      "InvalidArgument",
      `${directory} is an adapter already, of rank ${own.lora.r}; leave student.lora out to train it on`,
      { fieldPath: "student.lora" },
    );
  const { seed, ...settings } = adapter;
  const lora = loraOf(model.config, settings);
  return { ...model, adapter: { lora, factors: initialFactors(model.config, lora, seed), base: resolve(directory) } };
}

async function fromScratch({ config, tokenizer, seed }: Extract<StudentSource, { config: unknown }>): Promise<Model> {
  const donor = await readDonor(tokenizer);
  return initModel({ ...donor.shared, ...config }, donor.tokenizer, seed);
}
