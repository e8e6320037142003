import { type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { type FieldRules, field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** What a field's rules say, in words; empty where it has none. */
export function ruleText(field: DescField): string {
  if (!hasOption(field, fieldRules)) return "";
  const rules = getOption(field, fieldRules);
  const own = rules.cel.map(({ message }) => sentence(message.replaceAll("<", "\\<")));
  return [rules.required ? "Required." : "", ...typeRules(rules, ""), ...own].filter(Boolean).join(" ");
}

type Rules = NonNullable<FieldRules["type"]["value"]>;

function typeRules({ type }: Pick<FieldRules, "type">, of: string): string[] {
  if (type.case === undefined) return [];
  if (type.case === "string") return textRules(type.value, of);
  if (type.case === "bytes") return [atMost(type.value.maxLen, "bytes", of)];
  if (type.case === "repeated") {
    const { minItems, maxItems, items } = type.value;
    const count = minItems ? `${minItems} to ${maxItems} elements.` : atMost(maxItems, "elements");
    return [count, ...(items ? typeRules(items, "each ") : [])];
  }
  if (type.case === "map") {
    const { maxPairs, keys } = type.value;
    return [atMost(maxPairs, "pairs"), ...(keys ? typeRules(keys, "each key ") : [])];
  }
  return [boundsOf(type.value, of)];
}

function textRules(
  { in: allowed, pattern, minLen, maxLen, maxBytes }: Extract<FieldRules["type"], { case: "string" }>["value"],
  of: string,
) {
  const values = allowed.filter(Boolean).map((value) => `\`${value}\``);
  const absent = allowed.includes("") ? ", or empty" : "";
  return [
    values.length ? sentence(`${of}one of ${values.join(", ")}${absent}`) : "",
    pattern ? sentence(`${of}matches \`${pattern.replaceAll("|", "\\|")}\``) : "",
    minLen ? sentence(`${of}not empty`) : "",
    atMost(maxLen, "characters", of),
    atMost(maxBytes, "bytes", of),
  ];
}

/** Largest bound that is worth a word: beyond it, it keeps a wrong message from taking memory and no one meets it. */
const largest = 1_000_000n;

/** A bound on how many there are; empty where no one meets it. */
const atMost = (count: bigint, unit: string, of = ""): string =>
  count > 0n && count <= largest ? sentence(`${of}at most ${count} ${unit}`) : "";

/** Bounds of a number: `[0, 1]`, `> 0`. */
function boundsOf(rules: Rules, of: string): string {
  const { greaterThan, lessThan } = rules as {
    readonly greaterThan?: { readonly case?: string; readonly value?: number | bigint };
    readonly lessThan?: { readonly case?: string; readonly value?: number | bigint };
  };
  const isNear = (value: number | bigint | undefined) => Math.abs(Number(value)) <= Number(largest);
  const low = greaterThan?.case && isNear(greaterThan.value) ? `${greaterThan.case === "gt" ? "above" : "from"} ${greaterThan.value}` : "";
  if (!lessThan?.case || !isNear(lessThan.value)) return low && sentence(`${of}${low}`);
  if (lessThan.case === "lt") return sentence(`${of}${low && `${low}, `}below ${lessThan.value}`);
  const isSpan = greaterThan?.case === "gte";
  return sentence(isSpan ? `${of}${low} to ${lessThan.value}` : `${of}${low && `${low}, `}at most ${lessThan.value}`);
}

const sentence = (words: string): string => {
  const text = words.trim();
  return text ? `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "";
};
