// Scores that teachers gave over their own tokens, brought to the student's.
import type { WorkerClient } from "../../shared/base/workers.js";
import { type Alignment, alignScore, readText } from "../../shared/codec/align-score.js";
import { signalOf } from "../../shared/codec/signal-spec.js";
import { toInt32 } from "../../shared/flow/arrays.js";
import { FinishReason, type Sequence, type SequenceScore, type SignalSpec } from "../../shared/gen/retort/v1/flow_pb.js";
import type { WrittenText } from "../../shared/ml/text/completion-tokens.js";
import type { CrossedText, TrainHost } from "../model/train-host.js";
import type { CompleteResults } from "./results-reader.js";

/** Where scores over teachers' own tokens meet the student's, by score. One without a span in common has none. */
export type Alignments = ReadonlyMap<SequenceScore, Alignment>;

/** Why a sequence is left out that has a score, and no span in common with it. */
export const noSpan =
  "the teacher's own tokens and the student's have no border in common: the completion was cut before the first, or the teacher's tokenizer changes what it reads (a normalizer, or a special token's name)";

interface Scored {
  readonly sequence: Sequence;
  readonly score: SequenceScore;
  readonly signal: SignalSpec;
  /** Who scored it. */
  readonly teacher: string;
}

/**
 * Aligns all scores of results that teachers gave over their own tokens.
 *
 * @param byRank whether the objective compares their most probable classes by rank
 * @throws DataLoss for one that is damaged
 */
export async function alignResults(
  host: Pick<WorkerClient<TrainHost>, "nextTokens" | "spanRanks" | "writtenTokens">,
  results: readonly CompleteResults[],
  byRank = false,
): Promise<Alignments> {
  const scored = results.flatMap(({ rollout: { sequences, signal, teacher }, score }) =>
    signal?.tokenizer === "own"
      ? sequences.flatMap((sequence, i): Scored[] => {
          const own = score?.scores[i];
          return own && !own.failure && !sequence.failure ? [{ sequence, score: own, signal, teacher }] : [];
        })
      : [],
  );
  const written = scored.length ? await host.writtenTokens(scored.map(({ sequence }) => writtenText(sequence))) : [];
  const aligned = scored.flatMap((one, i): Aligned[] => {
    const alignment = alignScore(one.score, signalOf(one.signal), written[i]!);
    return alignment ? [{ ...one, alignment, byteLengths: written[i]!.byteLengths }] : [];
  });
  const asked = aligned.filter(({ signal }) => signal.kind === "top_k");
  const texts = asked.map(crossed);
  const next = texts.length ? await (byRank ? host.spanRanks(texts) : host.nextTokens(texts)) : [];
  const found = new Map(asked.map(({ score }, i) => [score, next[i]] as const));
  return new Map(
    aligned.flatMap(({ score, alignment }) => {
      const next = found.get(score);
      // Ranks are those of spans alone: a token that no text has is in none.
      return byRank && next && !next.known.includes(1) ? [] : [[score, { ...alignment, next }] as const];
    }),
  );
}

interface Aligned extends Scored {
  readonly alignment: Alignment;
  readonly byteLengths: Uint16Array;
}

const crossed = ({ teacher, sequence, score, signal, alignment, byteLengths }: Aligned): CrossedText => ({
  teacher,
  read: readText(score, signalOf(signal), sequence.teacherEndId),
  written: { ...writtenText(sequence), byteLengths },
  rows: alignment.tokens,
});

const writtenText = ({ completionIds, completionText, finish }: Sequence): WrittenText => ({
  ids: toInt32(completionIds, "completionIds"),
  text: completionText,
  ended: finish === FinishReason.STOP,
});

/** How much of the student's tokens was compared across tokenizers. */
export class AlignedTokens {
  #tokens = 0;
  #aligned = 0;
  #spans = 0;

  /** @param tokens of the whole completion */
  add(alignment: Alignment, tokens: number): void {
    this.#tokens += tokens;
    this.#aligned += alignment.tokens;
    this.#spans += alignment.spanCount;
  }

  /** As StepFinished has them; nothing where nothing was aligned. */
  figures(): { readonly alignedShare?: number; readonly tokensPerSpan?: number } {
    if (this.#tokens === 0) return {};
    return { alignedShare: this.#aligned / this.#tokens, tokensPerSpan: this.#aligned / this.#spans };
  }
}
