/** How BLEU cuts a text into tokens. */
export type BleuUnit = "word" | "character";

/** mteval-v13a's rules, in order: the tokeniser of WMT and sacrebleu's default. */
const rules: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/g, " $1 "],
  [/([^0-9])([.,])/g, "$1 $2 "],
  [/([.,])([^0-9])/g, " $1 $2"],
  [/([0-9])(-)/g, "$1 $2 "],
];

const split = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** The text's words as mteval-v13a finds them (sacrebleu's `13a`), or its characters without white space (`char`). */
export function bleuTokens(text: string, unit: BleuUnit): string[] {
  if (unit === "character") return [...text].filter((character) => /\S/.test(character));
  const plain = text.trimEnd().replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  const decoded = plain.replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
  return split(rules.reduce((line, [pattern, replacement]) => line.replace(pattern, replacement), ` ${decoded} `));
}
