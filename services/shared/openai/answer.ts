import { randomUUID } from "node:crypto";
import { RetortError } from "../base/errors.js";
import type { ServedModel } from "./served-model.js";
import type { Written } from "./write.js";

/** What a handler answers: one object, or objects as they come. */
export type Answer = { readonly whole: object } | { readonly stream: AsyncIterable<object> };

/** What every object of an answer begins with. */
export const headOf = (served: ServedModel, object: string, prefix: string) => ({
  id: `${prefix}-${randomUUID()}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model: served.name,
  system_fingerprint: served.fingerprint,
});

/** @throws NotFound for another model than is served */
export function checkModel({ name }: ServedModel, model: string): void {
  if (model === name) return;
  throw new RetortError("NotFound", `model is ${JSON.stringify(model)}; this server has ${JSON.stringify(name)}`, { fieldPath: "model" });
}

/** How many tokens were read and written. */
export function usageOf(prompts: readonly Int32Array[], written: readonly Pick<Written, "ids">[]) {
  const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const completionTokens = written.reduce((sum, { ids }) => sum + ids.length, 0);
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
}
