import type { DescMessage, MessageShape, MessageValidType } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { RetortError } from "../errors.js";

const validator = createValidator();

/**
 * A message that keeps the rules in its proto: the same object, of the type in which required fields are there.
 *
 * @throws InvalidArgument that lists every violation with its field's path
 */
export function checkMessage<D extends DescMessage>(descriptor: D, message: MessageShape<D>): MessageValidType<D> {
  const result = validator.validate(descriptor as DescMessage, message);
  if (result.kind === "valid") return message as MessageValidType<D>;
  if (result.kind === "error")
    throw new RetortError("Internal", `the rules of ${descriptor.typeName} are at fault`, { cause: result.error });
  const problems = result.violations.map(({ field, message }) => ({ fieldPath: pathToString(field), description: message }));
  throw RetortError.ofProblems(descriptor.name, problems);
}
