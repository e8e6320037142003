import { RetortError } from "../../base/errors.js";

/** Names of a model's classes by its config.json: `id2label`, or LABEL_0, LABEL_1, … as transformers calls them. */
export function labelsIn(rawConfig: Readonly<Record<string, unknown>>, classes: number): string[] {
  const names = (rawConfig.id2label ?? {}) as Readonly<Record<string, string>>;
  return Array.from({ length: classes }, (_, i) => names[i] ?? `LABEL_${i}`);
}

/**
 * Which logit a reward reads: the class of a name, or of a number if no class is called so. A model with one logit is a
 * regression (a reward model), whose only logit has no name.
 *
 * @returns the class, or undefined for a model with one logit
 * @throws InvalidArgument naming the classes there are
 */
export function classOf(label: string, labels: readonly string[]): number | undefined {
  const known = labels.map((name) => `"${name}"`).join(", ");
  if (labels.length === 1) {
    if (label === "" || label === labels[0]) return undefined;
    throw new RetortError(
      "InvalidArgument",
      `there is no class "${label}"; this model has one logit, which is the reward: leave \`label\` out`,
    );
  }
  if (label === "") throw new RetortError("InvalidArgument", `say whose probability is the reward; classes: ${known}`);
  const named = labels.indexOf(label);
  const index = named >= 0 ? named : /^\d+$/.test(label) ? Number(label) : -1;
  if (index < 0 || index >= labels.length) throw new RetortError("InvalidArgument", `there is no class "${label}"; classes: ${known}`);
  return index;
}
