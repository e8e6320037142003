import { resolve } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { initialFactors, loraOf } from "../../shared/ml/models/adapter/layers.js";
import { lowRank } from "../../shared/ml/models/adapter/low-rank.js";
import { openAdapter, readAdapter, readAdapterConfig } from "../../shared/ml/models/checkpoint/adapter.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { loadAdaptable, loadModel } from "../../shared/ml/models/files/model-files.js";
import type { Adapter, Lora, LoraSettings } from "../../shared/ml/models/lora.js";
import { digestOf, initModel, type Model } from "../../shared/ml/models/model.js";
import type { Weights } from "../../shared/ml/models/param-spec.js";
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

/** A student as its trainer begins with it. */
export interface OpenedStudent {
  /** Narrowed to the rows of the vocabulary that are used. */
  readonly model: Model;
  readonly trainable: Trainable;
  /** All that the forward pass reads. */
  readonly weights: Weights;
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
 * @param checkpoint directory of one to go on from
 * @param rows first rows of the vocabulary to use; 0 for all
 * @throws FailedPrecondition for a checkpoint of another adapter, or of another base; what reading the files throws
 */
export async function openStudent(source: StudentSource, checkpoint: string | undefined, rows: number): Promise<OpenedStudent> {
  const whole = "directory" in source ? await openDirectory(source) : await fromScratch(source);
  const common = {
    directory: "directory" in source ? source.directory : undefined,
    rows,
    // An adapter is saved alone.
    rest: whole.adapter ? new Map() : restRows(whole, rows),
    wholeConfig: whole.rawConfig,
  };
  if (whole.adapter) return { ...common, ...(await withAdapter(whole, whole.adapter, checkpoint, rows)) };
  const model = narrowed(checkpoint ? { ...whole, params: (await loadModel(checkpoint)).params } : whole, rows);
  const state = checkpoint ? await readTrainerState(checkpoint, model.params) : undefined;
  return { ...common, model, trainable: wholeModel(model.config), weights: model.params, state, base: undefined };
}

async function withAdapter(whole: Model, initial: Adapter, checkpoint: string | undefined, rows: number) {
  const base = { directory: initial.base, digest: digestOf(whole.params) };
  const adapter = checkpoint ? await resumed(checkpoint, whole, initial, base) : initial;
  const model = { ...narrowed(whole, rows), adapter };
  const weights = new Map([...model.params, ...adapter.factors]);
  const state = checkpoint ? await readTrainerState(checkpoint, adapter.factors) : undefined;
  return { model, trainable: lowRank(model.config, adapter.lora), weights, state, base };
}

/** The adapter of a checkpoint, which must be one like the student's on the same base. */
async function resumed(checkpoint: string, { config }: Model, { lora, base }: Adapter, identity: BaseIdentity): Promise<Adapter> {
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

async function openDirectory({ directory, adapter }: Extract<StudentSource, { directory: string }>): Promise<Model> {
  const model = await loadAdaptable(directory);
  if (!adapter) return model;
  if (model.adapter)
    throw new RetortError(
      "InvalidArgument",
      `${directory} is an adapter already, of rank ${model.adapter.lora.r}; leave student.lora out to train it on`,
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
