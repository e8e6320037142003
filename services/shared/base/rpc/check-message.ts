import type { DescMessage, MessageShape, MessageValidType } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { type Problem, RetortError } from "../errors.js";

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
  return result.violations.map(({ field, message, ruleId }) => ({
    path: field,
    fieldPath: pathText(field),
    description: message || ruleId,
  }));
}

/**
 * A message that keeps the rules in its proto: the same object, of the type in which required fields are there.
 *
 * @throws InvalidArgument that lists every violation with its field's path
 */
export function checkMessage<D extends DescMessage>(descriptor: D, message: MessageShape<D>): MessageValidType<D> {
  const problems = brokenRules(descriptor, message);
  if (problems.length) throw RetortError.ofProblems(descriptor.name, problems);
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
