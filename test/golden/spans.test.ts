import { readFileSync } from "node:fs";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { completionTokens, spelledLengths } from "../../services/shared/ml/text/completion-tokens.js";
import { commonSpans } from "../../services/shared/ml/text/spans.js";
import { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";
import { spanGaps } from "../../services/shared/ml/training/span-gaps.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { lossOf } from "../support/loss/loss.js";

interface Golden {
  readonly kinds: readonly string[];
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[][];
    readonly lengths: readonly number[][];
    readonly spans: readonly number[][];
  }[];
  readonly losses: readonly {
    readonly spans: { readonly starts: number[]; readonly words: number[]; readonly alike: boolean };
    readonly vocab: number;
    readonly options: Pick<Objective, "alpha" | "klCoef" | "ratioClip">;
    readonly logits: number[];
    readonly labels: number[];
    readonly weights: number[];
    readonly advantages: number[];
    readonly samplerLogprobs: number[];
    readonly sampled: number[];
    readonly logprobs: number[];
    readonly teacherLogprobs: number[];
    readonly gaps: number[];
    readonly loss: number;
    readonly rows: number[];
    readonly gradient: number[];
  }[];
}

const golden = JSON.parse(readFileSync("test/golden/fixtures/spans.json", "utf8")) as Golden;
const tokenizers = await Promise.all(golden.kinds.map((kind) => Tokenizer.load(`test/golden/fixtures/encoder/${kind}`)));

describe("two tokenizations of one text, as Python reads them", () => {
  it.each(golden.texts.map((one) => [one.text, one] as const))(
    "%j: bytes of tokens, and spans in common",
    (_, { text, ids, lengths, spans }) => {
      const own = tokenizers.map((tokenizer, i) => spelledLengths(tokenizer, ids[i]!, text));
      expect(own.map((each) => [...each])).toEqual(lengths);
      expect(commonSpans(own[0]!, own[1]!).map(({ from, to, otherFrom, otherTo }) => [from, to, otherFrom, otherTo])).toEqual(spans);
    },
  );

  it.each(golden.texts.map(({ text, ids, lengths }) => [text, ids, lengths] as const))(
    "%j: its tokens behind a prompt",
    (text, ids, lengths) => {
      for (const [i, tokenizer] of tokenizers.entries()) {
        const promptIds = tokenizer.encode("\n");
        const [read] = completionTokens(tokenizer, [{ promptIds, text, endId: 7 }]);
        expect(read).toEqual({ ids: Int32Array.of(...ids[i]!, 7), byteLengths: Uint16Array.of(...lengths[i]!, 0) });
      }
    },
  );
});

describe("opd over spans against PyTorch", () => {
  const named = golden.losses.map((one) => [JSON.stringify(one.spans), one] as const);

  it.each(named)("%s: what each token answers for", (_, { spans, logprobs, teacherLogprobs, gaps, rows }) => {
    const layout = { ...spans, starts: Int32Array.from(spans.starts), words: Int32Array.from(spans.words) };
    const found = spanGaps(layout, Float32Array.from(logprobs), Float32Array.from(teacherLogprobs));
    expectAllClose(found.gaps, gaps, { rtol: 1e-5, atol: 1e-5 });
    expectAllClose(found.shares, rows, { rtol: 1e-5, atol: 1e-5 });
  });

  it.each(named)("%s: value, rows and gradient", async (_, value) => {
    const { gaps, rows, options, vocab } = value;
    const input = { ...value, rows: gaps.length, vocab, gaps, gapShares: rows, signal: {} };
    const result = await lossOf({ ...options, divergence: "opd", signal: "sampled" }, input);
    const scale = Math.max(1, ...value.logits.map(Math.abs)) * 2e-6;
    expectAllClose([result.loss], [value.loss], { rtol: 1e-5, atol: scale }, "loss");
    expectAllClose(result.rows, rows, { rtol: 1e-5, atol: scale }, "rows");
    expectAllClose(result.logprobs, value.logprobs, { rtol: 1e-5, atol: scale }, "logprobs");
    expectAllClose(result.gradient, value.gradient, { rtol: 1e-5, atol: scale }, "gradient");
  });
});
