import { resolve } from "node:path";
import { keepGenerated } from "./generated.js";
import { inRules } from "./proto-rules.js";

// Writes services/shared/flow/runs/closed-values.ts, whose types are the unions of the `in:` rules; with --check, compares.

const file = resolve("services/shared/flow/runs/closed-values.ts");

/** Characters of a line, as the formatter has it. */
const lineWidth = 140;

function entry([field, values]: readonly [string, readonly string[]]): string {
  const quoted = values.map((value) => JSON.stringify(value));
  const line = `  ${JSON.stringify(field)}: [${quoted.join(", ")}],`;
  return line.length <= lineWidth ? line : `  ${JSON.stringify(field)}: [\n${quoted.map((value) => `    ${value},\n`).join("")}  ],`;
}

const text = `// Generated from the \`in:\` rules of proto/ by \`npm run gen\`: do not edit.

/** The texts that a field of a closed set may have, by message and field; without the empty one, which stands for a default. */
export const closedValues = {
${Object.entries(inRules).map(entry).join("\n")}
} as const;
`;

keepGenerated(file, text, "the protos");
