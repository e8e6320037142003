import { readFileSync } from "node:fs";
import type { Objective } from "../../services/shared/ml/losses/objective.js";
import { expectAllClose } from "../support/jest/all-close.js";
import { lossOf } from "../support/loss/loss.js";

type Numbers = readonly (number | null)[];

interface GoldenCase {
  readonly divergence: Objective["divergence"];
  readonly options: Omit<Objective, "divergence">;
  readonly logits: number[];
  readonly labels: number[];
  readonly weights: number[];
  readonly advantages: number[];
  readonly samplerLogprobs: number[];
  readonly sampled: number[];
  readonly teacherLogprobs: Numbers;
  readonly signal: { readonly full?: Numbers; readonly ids?: number[]; readonly top?: Numbers; readonly tail?: Numbers };
  readonly loss: number;
  readonly rows: number[];
  readonly logprobs: number[];
  readonly entropy: number[];
  readonly gradient: number[];
}

const golden = JSON.parse(readFileSync("test/golden/fixtures/losses.json", "utf8")) as { rows: number; vocab: number; cases: GoldenCase[] };

/** JSON has no infinity: null stands for the logarithm of 0. */
const logs = (values?: Numbers) => values?.map((x) => x ?? Number.NEGATIVE_INFINITY);

const name = ({ divergence, options: o }: GoldenCase, index: number) =>
  `${divergence} #${index} ${o.signal} k=${o.k} α=${o.alpha} β=${o.beta} skew=${o.skew} w=${o.weight} τ=${o.studentTemperature}`;

describe("losses against PyTorch", () => {
  it.each(golden.cases.map((value, index) => [name(value, index), value] as const))("%s: value and gradient", async (_, value) => {
    const { divergence, options, signal } = value;
    const result = await lossOf(
      { ...options, divergence },
      {
        ...value,
        rows: golden.rows,
        vocab: golden.vocab,
        teacherLogprobs: logs(value.teacherLogprobs)!,
        signal: { ...signal, full: logs(signal.full), top: logs(signal.top), tail: logs(signal.tail) },
      },
    );
    // Terms are as large as the largest log-probability, so float32 leaves that much times 1e-7.
    const scale = Math.max(1, ...value.logits.map(Math.abs)) * 2e-6;
    expectAllClose([result.loss], [value.loss], { rtol: 1e-5, atol: scale }, "loss");
    expectAllClose(result.rows, value.rows, { rtol: 1e-5, atol: scale }, "rows");
    expectAllClose(result.logprobs, value.logprobs, { rtol: 1e-5, atol: scale }, "logprobs");
    expectAllClose(result.entropy, value.entropy, { rtol: 1e-5, atol: scale }, "entropy");
    expectAllClose(result.gradient, value.gradient, { rtol: 1e-5, atol: scale }, "gradient");
  });
});
