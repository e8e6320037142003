import { type DescField, type DescMessage, getOption, hasOption, type MessageShape, type MessageValidType } from "@bufbuild/protobuf";
import { type Path, type ReflectList, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { field as fieldRules, type StringRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { type Problem, RetortError } from "../errors.js";
import { nearest } from "../nearest.js";
import { patternWords } from "./pattern-words.js";

const validator = createValidator();

/** A rule of a proto that a message breaks. */
export interface BrokenRule extends Problem {
  /** Where, as descriptors; `fieldPath` says the same in text. */
  readonly path: Path;
}

/** Every rule in its proto that a message breaks, in the order of its fields; none if it is valid. */
export function brokenRules<D extends DescMessage>(descriptor: D, message: MessageShape<D>): BrokenRule[] {
  const result = validator.validate(descriptor as DescMessage, message);
  if (result.kind === "valid") return [];
  if (result.kind === "error")
    throw new RetortError("Internal", `the rules of ${descriptor.typeName} are at fault`, { cause: result.error });
  return result.violations.map(({ field, message: said, ruleId }) => ({
    path: field,
    fieldPath: pathText(field),
    ...(ruleId === "string.in"
      ? ofClosedSet(descriptor, message, field)
      : { description: numberAt(descriptor, message, field) + (ofPattern(ruleId, field) ?? asInterval(said || ruleId)) }),
  }));
}

/** A number that breaks a rule, as the beginning of what is said of it; nothing of anything else, which may be another's. */
function numberAt<D extends DescMessage>(descriptor: D, message: MessageShape<D>, path: Path): string {
  const value = valueAt(reflect(descriptor as DescMessage, message), path);
  return typeof value === "number" || typeof value === "bigint" ? `is ${value}; ` : "";
}

/** What protovalidate says of two bounds, as an interval. */
const asInterval = (said: string): string =>
  said.replace(
    /^must be greater than( or equal to)? (\S+) and less than( or equal to)? (\S+)$/,
    (_, closedLow: string | undefined, low: string, closedHigh: string | undefined, high: string) =>
      `must lie in ${closedLow ? "[" : "("}${low}, ${high}${closedHigh ? "]" : ")"}`,
  );

/** What is said of a text that its field cannot have. It is quoted only if it is nearly one that the field can have. */
function ofClosedSet<D extends DescMessage>(
  descriptor: D,
  message: MessageShape<D>,
  path: Path,
): Pick<Problem, "description" | "suggestion"> {
  const field = path.findLast((part) => part.kind === "field");
  const allowed = field ? allowedTexts(field) : [];
  const value = valueAt(reflect(descriptor as DescMessage, message), path);
  const suggestion = typeof value === "string" ? nearest(value, allowed) : undefined;
  if (suggestion) return { description: `is ${JSON.stringify(value)}; did you mean ${suggestion}?`, suggestion };
  return { description: `must be one of ${allowed.join(", ")}` };
}

/** How a text must be that isn't of its field's pattern; undefined for another rule. */
function ofPattern(ruleId: string, path: Path): string | undefined {
  const field = ruleId === "string.pattern" && path.findLast((part) => part.kind === "field");
  const rules = field ? textRulesOf(field) : undefined;
  return rules && patternWords[rules.pattern];
}

/** The texts that a field, or an item of it, may have by its `in` rule; without the empty one. */
function allowedTexts(field: DescField): string[] {
  return textRulesOf(field)?.in.filter(Boolean) ?? [];
}

/** The rules of a field's text, or of its items'; undefined where it has none. */
export function textRulesOf(field: DescField): StringRules | undefined {
  if (!hasOption(field, fieldRules)) return undefined;
  const { type } = getOption(field, fieldRules);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  return rules?.case === "string" ? rules.value : undefined;
}

/** What stands at a path; undefined if nothing does. */
function valueAt(message: ReflectMessage, path: Path): unknown {
  let value: unknown = message;
  for (const part of path) {
    if (part.kind === "field") value = (value as ReflectMessage).get(part);
    else if (part.kind === "list_sub") value = (value as ReflectList).get(part.index);
    else return undefined;
  }
  return value;
}

/**
 * A message that keeps the rules in its proto: the same object, of the type in which required fields are there.
 *
 * @throws InvalidArgument that lists every violation with its field's path
 */
export function checkMessage<D extends DescMessage>(descriptor: D, message: MessageShape<D>): MessageValidType<D> {
  const problems = brokenRules(descriptor, message);
  if (problems.length)
    throw RetortError.ofProblems(
      descriptor.name,
      problems.map(({ path, ...problem }) => problem),
    );
  return message as MessageValidType<D>;
}

/** A path as people write it in YAML and JSON: `phases[0].batchSize`, `labels["a b"].maxTokens`; a oneof by its own name. */
export const pathText = (path: Path): string => path.map(partText).join("").replace(/^\./, "");

function partText(part: Path[number]): string {
  switch (part.kind) {
    case "list_sub":
      return `[${part.index}]`;
    case "map_sub":
      return `[${typeof part.key === "string" ? JSON.stringify(part.key) : part.key}]`;
    case "extension":
      return `[${part.typeName}]`;
    case "field":
      return `.${part.jsonName}`;
    case "oneof":
      return `.${part.localName}`;
  }
}
