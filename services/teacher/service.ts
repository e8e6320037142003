import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../shared/base/errors.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { toScoreRecord } from "../shared/codec/score-record.js";
import { checkChosen, checkSignalFields, signalOf } from "../shared/codec/signal-spec.js";
import { toInt32, toRecord } from "../shared/flow/arrays.js";
import { sampleSeed } from "../shared/flow/prompts/plan.js";
import { promptOf, samplePieces } from "../shared/flow/rollouts/sample-stream.js";
import { chatOfCall } from "../shared/flow/runs/chat.js";
import { resolveSampling } from "../shared/flow/runs/resolve.js";
import {
  type ScoreInput as ScoreInputRecord,
  type ScoreRequestValid,
  TeacherService,
  type TeacherServiceDescribeRequestValid,
  type TeacherServiceDescribeResponseSchema,
} from "../shared/gen/retort/v1/teacher_pb.js";
import type { ScoreInput } from "../shared/ml/signals/signal.js";
import { signals } from "../shared/ml/signals/table.js";
import type { DescribedTeacher, TeacherFacts, TeacherModel } from "./backends/backend.js";

/** Which teacher a caller wants described: empty for the one that there is. */
export type DescribeRequest = Pick<TeacherServiceDescribeRequestValid, "model" | "server">;

/**
 * TeacherService over a teacher. Both are asked for at each call, and calls come once the process is ready.
 *
 * @param described what Describe is answered from; told what the caller names
 * @param opened what scores and samples; throws where nothing does
 */
export function teacherService(described: (request: DescribeRequest) => DescribedTeacher, opened: () => TeacherModel): Implementation {
  return implement(TeacherService, {
    describe: async (request) => descriptionOf(await described(request).facts(request.vocabulary)),
    score: async (request) => {
      const model = opened();
      const inputs = await inputsOf(model, request);
      checkSignalFields(request.signal);
      const signal = signalOf(request.signal);
      checkChosen(signal.kind, request.sequences, (i) => `sequences[${i}].studentTopIds`);
      const scores = await model.score(inputs, signal);
      const { digest, headDigest } = model.description;
      return {
        scores: scores.map((score, i) => toScoreRecord(score, inputs[i]!.completionIds.length)),
        signal: request.signal,
        teacherDigest: digest,
        headDigest: signals[signal.kind].needsHead ? headDigest : "",
        completionIds: inputs.map((input) => toRecord(input.completionIds)),
        tokens: scores.map(({ logprobs }, i) => ({ ids: [...inputs[i]!.completionIds], logprobs: [...(logprobs ?? [])] })),
      };
    },
    async *sample({ request }, { signal }) {
      const pieces = samplePieces(opened(), request, resolveSampling(request.sampling), sampleSeed, signal);
      for await (const piece of pieces) yield { piece };
    },
  });
}

/** A teacher's facts as Describe answers them. */
function descriptionOf(facts: TeacherFacts): MessageInitShape<typeof TeacherServiceDescribeResponseSchema> {
  const { ends, specials, weights, parameters, warnings, vocabulary, offer, ...plain } = facts;
  return {
    ...plain,
    modelDigest: weights?.digest ?? "",
    headDigest: weights?.headDigest ?? "",
    parameters: BigInt(parameters),
    dtype: weights?.dtype ?? "float32",
    ...(weights?.precision && { precision: weights.precision }),
    eosIds: [...ends.ids],
    declaredEosIds: [...ends.declared],
    endWarnings: [...ends.warnings],
    warnings: [...warnings],
    specialTokens: specials,
    ...(offer && { offer: { ...offer, signals: [...offer.signals] } }),
    vocabulary: vocabulary && { ids: [...vocabulary.ids], tokens: [...vocabulary.tokens] },
  };
}

/** A completion as a model takes it. */
function completionOf(given: Exclude<ScoreInputRecord["completion"], { case: undefined }>, what: string): string | Int32Array {
  if (given.case === "ids") return toInt32(given.value, what);
  return given.case === "tokenIds" ? Int32Array.from(given.value.ids) : given.value;
}

async function inputsOf(model: TeacherModel, { sequences, chat }: ScoreRequestValid): Promise<ScoreInput[]> {
  const wanted = sequences.map(({ prompt, completion }, i) => {
    if (completion.case === undefined)
      throw new RetortError("InvalidArgument", `sequences[${i}].completion is missing; give text or tokenIds`);
    return {
      prompt: promptOf(prompt, `sequences[${i}].prompt.ids`),
      completion: completionOf(completion, `sequences[${i}].ids`),
    };
  });
  const encoded = await model.encodePairs(wanted, chatOfCall(chat, Date.now()));
  return sequences.map(({ studentTopIds }, i) => {
    const chosen = studentTopIds ? { studentTopIds: toInt32(studentTopIds, `sequences[${i}].studentTopIds`) } : {};
    return { ...encoded[i]!, ...chosen };
  });
}
