import { RetortError } from "../shared/base/errors.js";
import { type Implementation, implement } from "../shared/base/rpc/handlers.js";
import { checkSignalFields } from "../shared/codec/signal-spec.js";
import { toInt32, toRecord } from "../shared/flow/arrays.js";
import { sampleSeed } from "../shared/flow/prompts/plan.js";
import { promptOf, type SamplingModel, samplePieces } from "../shared/flow/rollouts/sample-stream.js";
import { chatOfCall, type ResolvedChat } from "../shared/flow/runs/chat.js";
import { resolveSampling } from "../shared/flow/runs/resolve.js";
import { type ScoreRequest, TeacherService } from "../shared/gen/retort/v1/teacher_pb.js";
import type { ModelDescription, PromptPair } from "../shared/ml/host/model-host.js";
import type { Score, Signal } from "../shared/ml/signals/score.js";
import type { ScoreInput } from "../shared/ml/signals/signal.js";
import { scoreRecord, signalOf } from "./signal.js";

/** What the service needs of its model. */
export interface TeacherModel extends SamplingModel {
  describe(): ModelDescription;
  readonly device: string;
  /** Prompts with their completions in tokens; a completion that is text is written behind its prompt. */
  encodePairs(pairs: readonly PromptPair[], chat: ResolvedChat): Promise<{ promptIds: Int32Array; completionIds: Int32Array }[]>;
  score(inputs: readonly ScoreInput[], signal: Signal): Promise<readonly Score[]>;
}

/** TeacherService over a model. */
export function teacherService(model: TeacherModel): Implementation {
  return implement(TeacherService, {
    describe: async () => {
      const { digest, tokenizerDigest, templateDigest, architecture, eosIds, padId, parameters, ...sizes } = model.describe();
      const { vocabSize, tokenizerSize, maxPositions, hiddenSize, headDigest, encodingDigest } = sizes;
      const words = { tokenizerDigest, tokenizerSize, encodingDigest, templateDigest, eosIds: [...eosIds], padId };
      return {
        modelDigest: digest,
        ...words,
        architecture,
        vocabSize,
        maxPositions,
        hiddenSize,
        headDigest,
        parameters: BigInt(parameters),
        dtype: "float32",
        device: model.device,
      };
    },
    score: async (request) => {
      const inputs = await inputsOf(model, request);
      checkSignalFields(request.signal!);
      const signal = signalOf(request.signal);
      if (signal.kind !== "student_top_k") refuseChosen(request);
      const scores = await model.score(inputs, signal);
      const { digest, headDigest } = model.describe();
      return {
        scores: scores.map((score, i) => scoreRecord(score, inputs[i]!.completionIds.length)),
        signal: request.signal,
        teacherDigest: digest,
        headDigest: signal.kind === "hidden" ? headDigest : "",
        completionIds: inputs.map((input) => toRecord(input.completionIds)),
      };
    },
    async *sample({ request }, { signal }) {
      const pieces = samplePieces(model, request!, resolveSampling(request!.sampling), sampleSeed, signal);
      for await (const piece of pieces) yield { piece };
    },
  });
}

/** Classes that the signal does not ask about. */
function refuseChosen({ sequences, signal }: ScoreRequest): void {
  const at = sequences.findIndex(({ studentTopIds }) => studentTopIds !== undefined);
  if (at >= 0)
    throw new RetortError(
      "InvalidArgument",
      `sequences[${at}].studentTopIds is given; only the signal student_top_k reads it, and signal.kind is ${signal!.kind}`,
      { fieldPath: `sequences[${at}].studentTopIds` },
    );
}

async function inputsOf(model: TeacherModel, { sequences, chat }: ScoreRequest): Promise<ScoreInput[]> {
  const wanted = sequences.map(({ prompt, completion }, i) => {
    if (completion.case === undefined) throw new RetortError("InvalidArgument", `sequences[${i}].completion is missing; give text or ids`);
    return {
      prompt: promptOf(prompt!, `sequences[${i}].prompt.ids`),
      completion: completion.case === "ids" ? toInt32(completion.value, `sequences[${i}].ids`) : completion.value,
    };
  });
  const encoded = await model.encodePairs(wanted, chatOfCall(chat, Date.now()));
  return sequences.map(({ studentTopIds }, i) => {
    const chosen = studentTopIds ? { studentTopIds: toInt32(studentTopIds, `sequences[${i}].studentTopIds`) } : {};
    return { ...encoded[i]!, ...chosen };
  });
}
