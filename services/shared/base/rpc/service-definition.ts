import { type DescMethod, type DescService, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { RetortError } from "../errors.js";

type Message = MessageShape<DescMethod["input"]>;

/** The grpc-js definition of one method of a generated service. */
export function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const write = (descriptor: DescMethod["input"]) => (message: Message) => Buffer.from(toBinary(descriptor, message));
  const read = (descriptor: DescMethod["input"]) => (bytes: Buffer) => fromBinary(descriptor, bytes);
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: write(method.input),
    requestDeserialize: read(method.input),
    responseSerialize: write(method.output),
    responseDeserialize: read(method.output),
  };
}

/**
 * The grpc-js definition of a generated service as a server needs it: its handlers give answers as bytes, and get what is wrong
 * with bytes that are no request, which grpc-js itself would call a bug of the server.
 */
export function serviceDefinition(service: DescService): ServiceDefinition {
  const written = (bytes: Buffer) => bytes;
  return Object.fromEntries(
    service.methods.map((method) => [
      method.name,
      { ...methodDefinition(method), requestDeserialize: requestReader(method), responseSerialize: written },
    ]),
  );
}

/** Reads a request; bytes that are none become the error to answer with. */
const requestReader =
  ({ input }: DescMethod) =>
  (bytes: Buffer): Message | RetortError => {
    try {
      return fromBinary(input, bytes);
    } catch (error) {
      const message = `${bytes.length} bytes are no ${input.name}: ${(error as Error).message}; was the client made from another version of the proto?`;
      return new RetortError("InvalidArgument", message, { cause: error });
    }
  };
