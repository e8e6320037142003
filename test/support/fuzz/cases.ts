import { RetortError } from "../../../services/shared/base/errors.js";
import { Random } from "./random.js";

/** What the shares of all fuzz tests add up to. */
const allShares = 16_700;

/** Cases of all fuzz tests together, unless RETORT_FUZZ_CASES says otherwise. */
const defaultCases = 10_000;

/** Names every case: RETORT_FUZZ_SEED, or 1. */
export const fuzzSeed = BigInt(process.env.RETORT_FUZZ_SEED || 1);

const scale = Number(process.env.RETORT_FUZZ_CASES || defaultCases) / allShares;

/** A single case to repeat: RETORT_FUZZ_ONLY. */
const only = process.env.RETORT_FUZZ_ONLY === undefined ? undefined : Number(process.env.RETORT_FUZZ_ONLY);

/** How many cases stand for this share. */
export const casesOf = (share: number): number => Math.max(1, Math.round(share * scale));

/**
 * Runs cases one after the other, each with random choices of its own.
 *
 * @param name must be the test's alone: seed, name and number name a case
 * @param share of {@link allShares}: how many cases, where as many as that are run
 * @throws the case's failure, with how to repeat it
 */
export async function fuzz(name: string, share: number, one: (random: Random, index: number) => unknown): Promise<void> {
  const stream = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_003, 7);
  const numbers = only === undefined ? Array.from({ length: casesOf(share) }, (_, i) => i) : [only];
  process.stderr.write(`fuzz: ${numbers.length} cases of ${name}, RETORT_FUZZ_SEED=${fuzzSeed}\n`);
  for (const i of numbers) {
    try {
      await within(patienceMs, `case ${i}`, Promise.resolve(one(new Random(fuzzSeed, stream, i), i)));
    } catch (error) {
      const known = error as Error;
      const again = `RETORT_FUZZ_SEED=${fuzzSeed} RETORT_FUZZ_ONLY=${i}`;
      throw new Error(`${name}, case ${i} (${again} repeats it): ${known.message}`, { cause: known });
    }
  }
}

/** Longest that a case may take, on a machine that is busy with other things. */
const patienceMs = 60_000;

/** Resolves with the promise. @throws if it takes longer: a hang */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs: no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What work made of its input: a value, or the refusal that it was answered with. */
export type Outcome<T> = { readonly value: T } | { readonly refusal: RetortError };

/**
 * Does work on an input that may be anything.
 *
 * @throws if it fails with anything but a refusal: a RetortError that is no bug, and does not quote code or the secret
 */
export async function outcomeOf<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!isRetortError(error)) throw new Error(`it threw ${describe(error)}`, { cause: error });
    if (error.code === "Internal" || error.code === "Unknown")
      throw new Error(`it failed as ${error.code}: ${describe(error)}`, { cause: error });
    checkText(error.message);
    return { refusal: error };
  }
}

const isRetortError = (error: unknown): error is RetortError => error instanceof RetortError;

const describe = (error: unknown): string => {
  const { name, message, stack } = (error ?? {}) as Partial<Error>;
  return `${name ?? typeof error}: ${message ?? String(error)}\n${stack?.split("\n").slice(1, 6).join("\n") ?? ""}`;
};

/** Stands in files that no message may quote. */
export const secret = "PRIVATE-e7c1f0";

/** Refuses text for strangers that shows code, or what a file holds. @throws naming what it shows */
export function checkText(text: string): void {
  if (/\n\s+at /.test(text)) throw new Error(`a message shows a stack trace: ${text.slice(0, 500)}`);
  if (/node_modules|dist\/(services|test)\/|services\/\S+\.ts/.test(text))
    throw new Error(`a message shows paths of the code: ${text.slice(0, 500)}`);
  if (text.includes(secret)) throw new Error(`a message quotes what a file holds: ${text.slice(0, 500)}`);
  if (/\b(Cannot read propert|is not a function|is not iterable|Cannot convert undefined)/.test(text))
    throw new Error(`a message is JavaScript's own: ${text.slice(0, 500)}`);
}
