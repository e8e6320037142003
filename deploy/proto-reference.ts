/**
 * Writes proto/REFERENCE.md: every service, message and enum of the protos, with their comments and the rules of their fields.
 *
 *     node dist/deploy/proto-reference.js           writes it
 *     node dist/deploy/proto-reference.js --check   fails if it is not what would be written
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { getComments, getPackageComments } from "@bufbuild/protoplugin";
import { message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Scope, scope } from "../services/shared/gen/retort/v1/access_pb.js";
import { commentLine, describedProtos } from "./proto-comments.js";
import { ruleText } from "./rule-text.js";

const file = resolve("proto/REFERENCE.md");

/** In the order in which they are read; one that isn't named comes last. */
const order = ["run_spec", "controller", "run", "events", "student", "teacher", "reward", "learner", "flow", "server", "access"];

/** Files in the order in which they are read. */
function ordered(files: readonly DescFile[]): DescFile[] {
  const place = ({ name }: DescFile) => (order.indexOf(name.replace("retort/v1/", "")) + order.length + 1) % (order.length + 1);
  return [...files].sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
}

function reference(files: readonly DescFile[]): string {
  const services = files.flatMap((one) => one.services);
  return `${[
    "<!-- Generated from the protos by `npm run gen`: do not edit. -->",
    "# Reference of Retort's API",
    "Package `retort.v1`, in gRPC. Fields have these names in YAML and JSON, and in most languages' code; in the protos and in Python they are " +
      "snake_case (`batch_size`). What a field must be is checked by the servers, which answer INVALID_ARGUMENT with all that is wrong, by path " +
      "(`phases[0].batchSize`). A field is absent where it has its type's zero; `optional` ones tell absent from zero.",
    `Services: ${services.map(({ name }) => link(name)).join(", ")}. Spec of a run: ${link("RunSpec")}.`,
    "## Services",
    ...services.flatMap(serviceText),
    ...files.flatMap(fileText),
  ].join("\n\n")}\n`;
}

function serviceText(service: DescService): string[] {
  return [
    `### ${service.name}`,
    commentOf(service),
    table(["method", "takes", "returns", "scope", "what"], service.methods.map(methodRow)),
  ];
}

function methodRow(method: DescMethod): string[] {
  const { name, input, output } = method;
  const returns = method.methodKind === "server_streaming" ? `stream of ${link(output.name)}` : link(output.name);
  const least = hasOption(method, scope) ? (Scope[getOption(method, scope)] ?? "").toLowerCase() : "";
  return [`\`${name}\``, link(input.name), returns, least, commentOf(method)];
}

function fileText(one: DescFile): string[] {
  const { leadingDetached, leading } = getPackageComments(one);
  const about = [...leadingDetached, leading ?? ""].map(paragraphs).filter(Boolean);
  const members = [...one.messages.flatMap(messageText), ...one.enums.flatMap(enumText)];
  return members.length ? [`## ${one.name}.proto`, ...about, ...members] : [];
}

function messageText(message: DescMessage): string[] {
  const rules = hasOption(message, messageRules) ? getOption(message, messageRules).cel : [];
  return [
    `### ${message.name}`,
    paragraphs(getComments(message).leading ?? ""),
    ...(rules.length ? [rules.map((rule) => `- ${escaped(rule.message)}`).join("\n")] : []),
    ...(message.fields.length ? [table(["field", "type", "what"], message.fields.map(fieldRow))] : ["It has no fields."]),
    ...message.nestedMessages.flatMap(messageText),
    ...message.nestedEnums.flatMap(enumText),
  ];
}

function fieldRow(field: DescField): string[] {
  const choice = field.oneof ? `One of ${field.oneof.fields.map(({ localName }) => `\`${localName}\``).join(", ")}.` : "";
  const deprecated = field.deprecated ? "Deprecated." : "";
  const what = [commentOf(field), choice, ruleText(field), deprecated].filter(Boolean).join(" ");
  return [`\`${field.localName}\``, typeOf(field), what];
}

function typeOf(field: DescField): string {
  if (field.fieldKind === "list") return `list of ${elementOf(field)}`;
  if (field.fieldKind === "map") return `map of ${ScalarType[field.mapKey].toLowerCase()} to ${elementOf(field)}`;
  return field.proto.proto3Optional ? `optional ${elementOf(field)}` : elementOf(field);
}

function elementOf({ message, enum: kind, scalar }: DescField): string {
  const named = message ?? kind;
  if (named) return named.file.proto.package === "retort.v1" ? link(named.name) : `\`${named.typeName}\``;
  return scalar === undefined ? "" : ScalarType[scalar].toLowerCase();
}

function enumText(kind: DescEnum): string[] {
  const values = kind.values.filter(({ number }) => number !== 0);
  return [
    `### ${kind.name}`,
    commentOf(kind),
    table(
      ["value", "number", "what"],
      values.map((value) => [`\`${value.name}\``, `${value.number}`, commentOf(value)]),
    ),
  ];
}

const link = (name: string): string => `[${name}](#${name.toLowerCase()})`;

const commentOf = (desc: Parameters<typeof commentLine>[0]): string => escaped(commentLine(desc));

/** A comment as one paragraph. */
const paragraph = (comment: string): string => escaped(comment.trim().replace(/\s+/g, " "));

/** A comment as it is cut into paragraphs; what is indented stays as it is. */
const paragraphs = (comment: string): string =>
  comment
    .replace(/^ /gm, "")
    .split(/\n{2,}/)
    .map((part) => (/^ {2}/m.test(part) ? `\`\`\`text\n${part.replace(/^ {2}/gm, "").trimEnd()}\n\`\`\`` : paragraph(part)))
    .filter(Boolean)
    .join("\n\n");

/** What Markdown would take for a column, a tag or emphasis, outside of code. */
function escaped(words: string): string {
  return words
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 ? part.replaceAll("|", "\\|") : part.replace(/[|<>*]/g, "\\$&")))
    .join("");
}

/** A table as the formatter of the other pages has it: columns as wide as their widest cell would make every change a change of all lines. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const text = reference(ordered(describedProtos()));
if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error(`${file} is not what the protos say; run npm run gen`);
  process.exitCode = 1;
}
