import { deferred } from "../../shared/base/deferred.js";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { mixtureDigest } from "../../shared/ml/models/model.js";
import type { Precision } from "../../shared/ml/scoring/precision.js";
import { mixedScore, topOfUnion, unionOf } from "../../shared/ml/signals/mix-scores.js";
import type { Score, Signal } from "../../shared/ml/signals/score.js";
import type { ScoreInput } from "../../shared/ml/signals/signal.js";
import type { BackendOptions, TeacherBackend, TeacherModel, TeacherSource } from "./backend.js";
import { onnxBackend } from "./onnx.js";

/** A model of an ensemble, open, and its share of the distribution. */
export interface OpenMember {
  readonly directory: string;
  readonly model: TeacherModel;
  readonly share: number;
}

/** Several models whose distributions are mixed at every token: each in a worker thread of its own. */
export function ensembleBackend(options: BackendOptions): TeacherBackend {
  const members: TeacherBackend[] = [];
  const { promise: crashed, resolve: lose } = deferred<RetortError>();
  return {
    crashed,
    close: async () => {
      await Promise.all(members.map((member) => member.close()));
    },
    describe: (source) => onnxBackend(options).describe(source),
    open: async ({ ensemble = [], vocabRows }: TeacherSource) => {
      // They compute side by side, so the threads are shared out among them.
      const threads = Math.max(1, Math.floor(options.threads / ensemble.length));
      const opened = ensemble.map(async ({ model: directory, share }): Promise<OpenMember> => {
        const member = onnxBackend({ ...options, threads });
        members.push(member);
        member.crashed.then(lose);
        return { directory, share, model: await member.open({ model: directory, vocabRows }) };
      });
      return mixedModel(await Promise.all(opened));
    },
  };
}

/**
 * Open models as one teacher, whose distribution is their mixture.
 *
 * @throws InvalidArgument if they range over different numbers of classes
 */
export function mixedModel(members: readonly OpenMember[]): TeacherModel {
  const first = found(members[0], "an ensemble's model");
  const other = members.find(({ model }) => model.description.vocabSize !== first.model.description.vocabSize);
  if (other)
    throw new RetortError(
      "InvalidArgument",
      `the models of an ensemble range over the same classes, and ${first.directory} has ${first.model.description.vocabSize}, ${other.directory} ${other.model.description.vocabSize}; set vocabSize`,
    );
  const description = descriptionOf(members);
  const { digest, headDigest, dtype, precision } = description;
  const writesNothing = async () => {
    throw new RetortError("FailedPrecondition", "this teacher is an ensemble, which writes no texts; ask one of its models");
  };
  const { weights: _, ...same } = first.model;
  return {
    ...same,
    description,
    isAttested: members.every(({ model }) => model.isAttested),
    facts: async (vocabulary) => {
      const { parameters, hiddenSize, maxPositions } = description;
      const weights = { digest, headDigest, dtype, ...(precision && { precision }) };
      return { ...(await first.model.facts(vocabulary)), parameters, hiddenSize, maxPositions, weights };
    },
    score: (inputs, signal) => scoresOf(members, inputs, signal),
    sample: writesNothing,
    sampleGroups: writesNothing,
  };
}

function descriptionOf(members: readonly OpenMember[]): TeacherModel["description"] {
  const all = members.map(({ model }) => model.description);
  const { precision: _, ...first } = found(all[0], "an ensemble's model");
  const mixed = (name: "configDigest" | "digest" | "headDigest") =>
    mixtureDigest(members.map(({ model, share }) => ({ digest: model.description[name], share })));
  const total = (name: "hiddenSize" | "parameters") => all.reduce((sum, one) => sum + one[name], 0);
  const precision = worstOf(all.flatMap(({ precision }) => precision ?? []));
  return {
    ...first,
    ...{ digest: mixed("digest"), headDigest: mixed("headDigest"), configDigest: mixed("configDigest") },
    ...{ hiddenSize: total("hiddenSize"), parameters: total("parameters") },
    maxPositions: Math.min(...all.map(({ maxPositions }) => maxPositions)),
    ...(precision && { precision }),
  };
}

/** Neither the KL of mixtures nor the error of their log-probabilities is above the largest of their parts'. */
function worstOf(all: readonly Precision[]): Precision | undefined {
  if (all.length === 0) return undefined;
  const most = (name: "maxLogprobError" | "meanKl") => Math.max(...all.map((one) => one[name]));
  return { meanKl: most("meanKl"), maxLogprobError: most("maxLogprobError"), tokens: Math.min(...all.map(({ tokens }) => tokens)) };
}

async function scoresOf(members: readonly OpenMember[], inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
  if (signal.kind === "random_k")
    throw new RetortError("InvalidArgument", "signal.kind is random_k, and this teacher is an ensemble; use top_k, full or hidden");
  const shares = members.map(({ share }) => share);
  const ask = async (texts: readonly ScoreInput[], asked: Signal) => {
    const scores = await Promise.all(members.map(({ model }) => model.score(texts, asked)));
    return texts.map((_, i) => scores.map((own) => found(own[i], "a sequence's score")));
  };
  const mixed = async (texts: readonly ScoreInput[], asked: Signal) =>
    (await ask(texts, asked)).map((own, i) => mixedScore(own, shares, found(texts[i], "a sequence").completionIds.length));
  if (signal.kind !== "top_k") return mixed(inputs, signal);
  const { vocabSize } = found(members[0], "an ensemble's model").model.description;
  const unions = (await ask(inputs, signal)).map((own) => unionOf(own, vocabSize));
  const about = inputs.map((input, i) => ({ ...input, studentTopIds: found(unions[i], "a union").ids }));
  const width = found(unions[0], "a union").width;
  return (await mixed(about, { ...signal, kind: "student_top_k", k: width })).map((score) => topOfUnion(score, signal));
}
