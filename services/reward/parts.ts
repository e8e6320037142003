import type { Input } from "./text-rewards.js";

/** Parts of few enough completions, and few enough characters unless one alone has more. */
export function partsOf(inputs: readonly Input[], mostInputs: number, mostCharacters: number): Input[][] {
  const parts: Input[][] = [];
  let part: Input[] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const input of inputs) {
    const own = input.prompt.length + input.completion.length + input.reference.length;
    if (characters + own > mostCharacters || part.length === mostInputs) {
      part = [];
      parts.push(part);
      characters = 0;
    }
    part.push(input);
    characters += own;
  }
  return parts;
}
