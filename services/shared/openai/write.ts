import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { counted } from "../base/counted.js";
import { RetortError } from "../base/errors.js";
import { sampleSeed } from "../flow/prompts/plan.js";
import { samplePieces } from "../flow/rollouts/sample-stream.js";
import { FinishReason } from "../gen/retort/v1/flow_pb.js";
import { SampleRequestSchema } from "../gen/retort/v1/student_pb.js";
import type { ServedModel } from "./served-model.js";
import { StopFilter } from "./stops.js";

/** How completions are written. */
export interface Writing {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly maxTokens: number;
  /** Completions of each prompt. */
  readonly samples: number;
  readonly seed: bigint;
  readonly stops: readonly string[];
}

/** What the fields of a request say of {@link Writing}; `seed` is drawn where it names none. */
export function writingOf(
  request: {
    readonly temperature?: number | null | undefined;
    readonly top_p?: number | null | undefined;
    readonly top_k?: number | null | undefined;
    readonly n?: number | null | undefined;
    readonly seed?: number | null | undefined;
    readonly stop?: string | readonly string[] | null | undefined;
  },
  maxTokens: number,
): Writing {
  const { temperature, top_p: topP, top_k: topK, n, seed, stop } = request;
  return {
    temperature: temperature ?? 1,
    topP: topP ?? 1,
    topK: Math.max(0, topK ?? 0),
    maxTokens,
    samples: n ?? 1,
    seed: seed === null || seed === undefined ? randomBytes(8).readBigUInt64LE() : BigInt.asUintN(64, BigInt(seed)),
    stops: typeof stop === "string" ? [stop] : (stop ?? []),
  };
}

/** A completion, as far as it is written. */
export interface Written {
  /** prompt × samples + sample */
  readonly index: number;
  readonly promptIds: Int32Array;
  readonly ids: number[];
  text: string;
  finish: "stop" | "length" | undefined;
}

/**
 * Completes prompts, by what answers gRPC's Sample; yields a completion whenever text of it is there, and at its end. A text ends
 * before the first stop; the ids are those that were written until it was seen.
 *
 * @throws InvalidArgument naming the prompt that leaves no room
 */
export async function* write(
  { model, maxPositions }: ServedModel,
  prompts: readonly Int32Array[],
  writing: Writing,
  signal: AbortSignal,
): AsyncGenerator<{ readonly written: Written; readonly fresh: string }> {
  const { samples, stops, temperature, topP, topK, seed } = writing;
  for (const [i, { length }] of prompts.entries())
    if (length + writing.maxTokens > maxPositions)
      throw new RetortError(
        "InvalidArgument",
        `prompt ${i} has ${counted(length, "token")} and ${writing.maxTokens} are to be written, and the model reads ${maxPositions}; shorten it, or lower max_tokens`,
        { fieldPath: "max_tokens" },
      );
  const all = prompts.flatMap((promptIds, prompt) =>
    Array.from({ length: samples }, (_, sample) => ({
      filter: new StopFilter(stops),
      written: { index: prompt * samples + sample, promptIds, ids: [], text: "", finish: undefined } as Written,
    })),
  );
  const request = create(SampleRequestSchema, {
    prompts: prompts.map((ids) => ({ input: { case: "tokenIds" as const, value: { ids: [...ids] } } })),
    samplesPerPrompt: samples,
    seed,
  });
  const sampling = { temperature, topP, topK, maxNewTokens: writing.maxTokens };
  for await (const { prompt = 0, sample = 0, tokenIds, text = "", finish } of samplePieces(model, request, sampling, sampleSeed, signal)) {
    const one = all[prompt * samples + sample];
    if (!one || one.written.finish) continue;
    const { written, filter } = one;
    written.ids.push(...(tokenIds ?? []));
    const passed = filter.push(text);
    const fresh = finish !== undefined && !filter.stopped ? passed + filter.end() : passed;
    written.text += fresh;
    if (filter.stopped || finish !== undefined) written.finish = filter.stopped || finish === FinishReason.STOP ? "stop" : "length";
    if (fresh || written.finish) yield { written, fresh };
    if (all.every(({ written }) => written.finish)) return;
  }
}
