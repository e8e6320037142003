import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { RetortError } from "../errors.js";

const validator = createValidator();

/**
 * Checks a message against the rules in its proto.
 *
 * @throws InvalidArgument that lists every violation with its field's path
 */
export function checkMessage<D extends DescMessage>(descriptor: D, message: MessageShape<D>): void {
  const result = validator.validate(descriptor as DescMessage, message);
  if (result.kind === "valid") return;
  if (result.kind === "error")
    throw new RetortError("Internal", `the rules of ${descriptor.typeName} are at fault`, { cause: result.error });
  const problems = result.violations.map(({ field, message }) => ({ fieldPath: pathToString(field), description: message }));
  throw RetortError.ofProblems(descriptor.name, problems);
}
