import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The small random models that test/golden/t5.py writes. */
export const t5Fixtures = ["t5", "flan", "flan-5"] as const;

/** Directory of such a model; tests run from the project's root. */
export const t5Fixture = (name: string): string => join(process.cwd(), "test", "golden", "fixtures", "t5", name);

/** By weight: the gradient's L2 norm, and its product with cos(0), cos(1), … */
export type GradientProbes = Readonly<Record<string, readonly [norm: number, projection: number]>>;

/** What transformers makes of such a model. */
export interface T5Golden {
  readonly kind: string;
  /** A prompt, and what the decoder reads: its start token first. */
  readonly rows: readonly { readonly prompt: number[]; readonly decoder: number[] }[];
  /** [T, V] of each row. */
  readonly logits: readonly (readonly (readonly number[])[])[];
  readonly gradients: GradientProbes;
  /** One step of distillation by forward KL, mean over the tokens, then over the sequences. */
  readonly step: {
    readonly sequences: readonly { readonly prompt: number[]; readonly completion: number[]; readonly teacherLogprobs: number[][] }[];
    readonly loss: number;
    readonly gradients: GradientProbes;
  };
}

/** The golden values of such a model. */
export const t5Golden = (name: string): T5Golden => JSON.parse(readFileSync(join(t5Fixture(name), "golden.json"), "utf8")) as T5Golden;
