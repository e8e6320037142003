import { z } from "zod";
import { RetortError } from "../../../shared/base/errors.js";

/** A text to be scored, and where its scored part begins: at least one token is before it. */
export interface Asked {
  readonly ids: readonly number[];
  readonly from: number;
}

/** What a server says of one token, in log-probabilities. */
export interface Told {
  /** Undefined where the server names tokens by text. */
  readonly id: number | undefined;
  readonly text?: string;
  readonly logprob: number;
  /** Classes with their log-probabilities, in any order; the given token may be among them. Undefined where they have no ids. */
  readonly top: readonly (readonly [id: number, logprob: number])[] | undefined;
}

/** How a kind of server is asked for the log-probabilities of a prompt's tokens. */
export interface Dialect {
  /** Below the server's base address, or beside it (`/…`). */
  readonly path: string;
  /** What is sent. @param k most probable classes of each token, at least one */
  body(model: string, asked: readonly Asked[], k: number): unknown;
  /** The scored tokens of each text. @throws DataLoss for an answer of another form, or of another number of texts or tokens */
  read(answer: unknown, asked: readonly Asked[]): Told[][];
}

/** Temperature and truncation are named: servers have defaults of their own, such as those of generation_config.json. */
export const plainSampling = { temperature: 1, top_p: 1 } as const;

/** A log-probability as JSON has it: null at a text's first token, and where it is -Infinity for some servers. */
export const logprob = z.number().nullable();

/** An answer in the form that it should have. @throws DataLoss naming the first field that is otherwise */
export function inForm<T>(form: z.ZodType<T>, answer: unknown): T {
  const { data, error } = form.safeParse(answer);
  if (error === undefined) return data as T;
  const [issue] = error.issues;
  throw new RetortError("DataLoss", `the server's answer is in another form: ${issue?.path.join(".")}: ${issue?.message}`);
}

/** @throws DataLoss for another number of things than there should be */
export function checkCount(found: number, expected: number, what: string): void {
  if (found !== expected) throw new RetortError("DataLoss", `the server's answer has ${found} ${what}; it should have ${expected}`);
}

/** A number that must be there. @throws DataLoss */
export function given(value: number | null | undefined, what: string): number {
  if (value === null || value === undefined || Number.isNaN(value))
    throw new RetortError("DataLoss", `the server's answer has no log-probability of ${what}`);
  return value;
}
