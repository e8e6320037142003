import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Conversation } from "../../gen/retort/v1/conversation_pb.js";
import { FinishReason } from "../../gen/retort/v1/flow_pb.js";
import type { PromptInput, SampleRequest, SampleResponseSchema } from "../../gen/retort/v1/student_pb.js";
import { toInt32, toRecord } from "../arrays.js";
import { chatOfCall, type ResolvedChat } from "../runs/chat.js";
import type { SamplingSettings } from "../runs/resolve.js";

type Prompt = string | Int32Array | Conversation;
type Answer = MessageInitShape<typeof SampleResponseSchema>;

/** What a sampling model can do, seen from a service. */
export interface SamplingModel {
  encode(prompts: readonly Prompt[], chat: ResolvedChat): Promise<Int32Array[]>;
  /** The texts of completions behind their prompts. */
  completionTexts(sequences: readonly { readonly promptIds: Int32Array; readonly ids: Int32Array }[]): Promise<string[]>;
  sample(
    requests: readonly { readonly promptIds: Int32Array; readonly seed: bigint }[],
    sampling: SamplingSettings,
    onPieces: (
      pieces: readonly { readonly index: number; readonly ids: readonly number[]; readonly logprobs: readonly number[] }[],
    ) => void,
  ): Promise<
    readonly { readonly ids: Int32Array; readonly logprobs: Float32Array; readonly text: string; readonly finish: "stop" | "length" }[]
  >;
}

/** A prompt of a request as a model takes it. */
export function promptOf({ input }: PromptInput, what: string): Prompt {
  if (input.case === "ids") return toInt32(input.value, what);
  if (input.case === "tokenIds") return Int32Array.from(input.value.ids);
  if (input.case === "conversation") return input.value;
  return input.case === "text" ? input.value : "";
}

/** Tokens of a piece, as lists and as the arrays that earlier callers read. */
const tokensOf = (ids: ArrayLike<number>, logprobs: ArrayLike<number>) => ({
  tokenIds: Array.from(ids),
  tokenLogprobs: Array.from(logprobs),
  ids: toRecord(Int32Array.from(ids)),
  logprobs: toRecord(Float32Array.from(logprobs)),
});

/** Answers a Sample call: pieces as they are written, and the end of each completion last. */
export async function* samplePieces(
  model: SamplingModel,
  request: SampleRequest,
  sampling: SamplingSettings,
  sampleSeed: (seed: bigint, prompt: number, sample: number) => bigint,
  signal: AbortSignal,
): AsyncGenerator<Answer> {
  const prompts = await model.encode(
    request.prompts.map((prompt, i) => promptOf(prompt, `prompts[${i}].ids`)),
    chatOfCall(request.chat, Date.now()),
  );
  const samples = request.samplesPerPrompt || 1;
  const requests = prompts.flatMap((promptIds, prompt) =>
    Array.from({ length: samples }, (_, sample) => ({ promptIds, prompt, sample, seed: sampleSeed(request.seed, prompt, sample) })),
  );
  const queue: Answer[] = [];
  const sent = requests.map(() => "");
  const written = requests.map(() => [] as number[]);
  let wake: () => void = () => {};
  let ended = false;
  const work = model.sample(requests, sampling, (pieces) => {
    if (ended) return;
    for (const { index, ids, logprobs } of pieces) {
      const { prompt, sample } = requests[index]!;
      written[index]!.push(...ids);
      queue.push({ prompt, sample, ...tokensOf(ids, logprobs) });
    }
    wake();
  });
  const settled = work.finally(() => {
    ended = true;
    wake();
  });
  settled.catch(() => {});
  while (!ended || queue.length) {
    for (let piece = queue.shift(); piece; piece = signal.aborted ? undefined : queue.shift()) {
      const index = (piece.prompt ?? 0) * samples + (piece.sample ?? 0);
      // A character may span tokens of two pieces: text is what the whole says beyond what was sent.
      const { promptIds } = requests[index]!;
      const [text] = (await model.completionTexts([{ promptIds, ids: Int32Array.from(written[index]!) }])) as [string];
      const fresh = text.startsWith(sent[index]!) && !text.endsWith("\uFFFD") ? text.slice(sent[index]!.length) : "";
      sent[index] += fresh;
      yield { ...piece, text: fresh };
    }
    if (signal.aborted) return;
    if (!ended) await new Promise<void>((resolve) => (wake = resolve));
  }
  const completions = await settled;
  for (const [i, { ids, logprobs, finish, text }] of completions.entries()) {
    const { prompt, sample } = requests[i]!;
    // Pieces come by another channel than the end and may be late: what they have not brought yet comes now.
    const known = written[i]!.length;
    const rest = known < ids.length ? tokensOf(ids.slice(known), logprobs.slice(known)) : {};
    yield {
      prompt,
      sample,
      ...rest,
      text: text.slice(sent[i]!.length),
      finish: finish === "stop" ? FinishReason.STOP : FinishReason.LENGTH,
    };
  }
}
