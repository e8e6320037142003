import { type DescMessage, fromBinary, type MessageShape, type MessageValidType } from "@bufbuild/protobuf";
import { RetortError } from "../base/errors.js";
import { checkMessage } from "../base/rpc/check-message.js";

/**
 * Reads a record and checks it against the rules in its proto.
 *
 * @throws DataLoss if the bytes are no such record, InvalidArgument that lists what is wrong with it
 */
export function readRecord<D extends DescMessage>(descriptor: D, bytes: Uint8Array): MessageValidType<D> {
  return checkMessage(descriptor, decode(descriptor, bytes));
}

function decode<D extends DescMessage>(descriptor: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(descriptor, bytes);
  } catch (error) {
    const message = `${bytes.length} bytes are no ${descriptor.name}: ${(error as Error).message}`;
    throw new RetortError("DataLoss", message, { cause: error });
  }
}
