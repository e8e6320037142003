import { readFileSync } from "node:fs";
import type { DivergenceName } from "../../services/shared/ml/losses/divergences.js";
import { spelledLengths, writtenTokens } from "../../services/shared/ml/text/completion-tokens.js";
import { latin1, TokenCrossing } from "../../services/shared/ml/text/crossing.js";
import { nextTokens } from "../../services/shared/ml/text/next-tokens.js";
import { Tokenizer } from "../../services/shared/ml/text/tokenizer.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { compileLoss } from "../support/loss/loss.js";

interface Golden {
  readonly classes: number;
  readonly texts: readonly {
    readonly text: string;
    readonly ended: boolean;
    readonly ids: number[];
    readonly teacherIds: number[];
    readonly logprobs: number[];
    readonly top: readonly (readonly (readonly [id: number, logprob: number])[])[];
    readonly expected: readonly Readonly<Record<string, number>>[];
  }[];
  readonly losses: readonly {
    readonly said: readonly number[];
    readonly vocab: number;
    readonly k: number;
    readonly logits: number[];
    readonly weights: number[];
    readonly ids: number[];
    readonly top: (number | null)[];
    readonly tail: number[];
    readonly results: Readonly<Record<string, { readonly loss: number; readonly rows: number[]; readonly gradient: number[] }>>;
  }[];
}

const golden = JSON.parse(readFileSync("test/golden/fixtures/next-tokens.json", "utf8")) as Golden;
const models = "deploy/examples/num2words/models";
const teacher = await Tokenizer.load(`${models}/teacher-words`);
const student = await Tokenizer.load(`${models}/student`);
const endId = 2;

describe("nextTokens() against enumeration of all that the teacher may write", () => {
  const k = golden.classes;
  const crossing = new TokenCrossing(teacher, student);

  it.each(golden.texts.map((one) => [one.text, one] as const))("%j: each class, and the rest", (_, one) => {
    const { text, ended, ids, teacherIds, logprobs, top, expected } = one;
    const lengths = spelledLengths(teacher, teacherIds, text);
    const read = {
      byteLengths: Uint16Array.of(...lengths, ...(ended ? [0] : [])),
      logprobs: Float32Array.from(logprobs),
      ids: Int32Array.from(top.flatMap((row) => Array.from({ length: k }, (_, i) => row[i]?.[0] ?? 0))),
      topLogprobs: Float32Array.from(top.flatMap((row) => Array.from({ length: k }, (_, i) => row[i]?.[1] ?? Number.NEGATIVE_INFINITY))),
      tail: new Float32Array(top.length).fill(Number.NEGATIVE_INFINITY),
      endId,
    };
    const { byteLengths } = writtenTokens(student, { ids: Int32Array.from(ids), text, ended });
    const next = nextTokens(crossing, read, { text: latin1(Buffer.from(text)), byteLengths, endId }, ids.length, student.size);
    const readBytes = lengths.reduce((sum, length) => sum + length, 0);
    for (const [n, row] of expected.entries()) {
      const isRead = ended || n < readBytes;
      expect(next.known[n]).toBe(isRead ? 1 : 0);
      if (!isRead) continue;
      const said = new Map<number, number>();
      for (let i = n * k; i < (n + 1) * k; i++)
        if (next.topLogprobs[i]! > Number.NEGATIVE_INFINITY) said.set(next.ids[i]!, Math.exp(next.topLogprobs[i]!));
      const [found, all] = [[...said.values()], [...said.keys()].map((id) => row[id] ?? 0)];
      expectAllClose(found, all, { rtol: 1e-5, atol: 1e-7 }, `token ${n}`);
      expectAllClose([Math.exp(next.tail[n]!)], [1 - all.reduce((a, b) => a + b, 0)], { rtol: 1e-4, atol: 1e-6 }, `the rest of token ${n}`);
      // Where one of the teacher's tokens begins, nothing is left unsaid.
      if (isBorder(lengths, n)) expect(Math.exp(next.tail[n]!)).toBeLessThan(1e-6);
    }
  });
});

/** Whether a token begins at a byte, or the text ends there. */
function isBorder(lengths: Uint16Array, byte: number): boolean {
  let at = 0;
  for (const length of lengths) {
    if (at >= byte) break;
    at += length;
  }
  return at === byte;
}

describe("a divergence over classes of which something is said of some, against PyTorch", () => {
  it.each(["forward_kl", "reverse_kl", "jsd", "tvd"] as const satisfies readonly DivergenceName[])(
    "%s: value, rows and gradient",
    async (divergence) => {
      for (const { said, vocab, k, logits, weights, ids, top, tail, results } of golden.losses) {
        const program = await compileLoss({ divergence, beta: 0.3, signal: "top_k", k }, vocab, { padded: true });
        const signal = { ids, top: top.map((one) => one ?? Number.NEGATIVE_INFINITY), tail };
        const result = await program.run({ rows: said.length, vocab, logits, weights, labels: said.map(() => 0), signal });
        await program.release();
        const value = results[divergence]!;
        expectAllClose([result.loss], [value.loss], { rtol: 1e-5, atol: 1e-6 }, "loss");
        expectAllClose(result.rows, value.rows, { rtol: 1e-5, atol: 1e-6 }, "rows");
        expectAllClose(result.gradient, value.gradient, { rtol: 1e-5, atol: 1e-6 }, "gradient");
      }
    },
  );
});
