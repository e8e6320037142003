import grpc from "@grpc/grpc-js";
import { Any, BadRequest } from "nice-grpc-error-details";
import { Status } from "nice-grpc-error-details/lib/proto/google/rpc/status.js";
import { codeFromGrpc, errorTable, type Problem, RetortError } from "../errors.js";

/** Metadata key of gRPC's richer error model: a google.rpc.Status whose details are one google.rpc.BadRequest. */
const detailsKey = "grpc-status-details-bin";

/** Bounds of what an error takes in the trailers: peers refuse headers beyond 8 to 16 KiB. */
const maxMessageLength = 2000;
const maxProblemsBytes = 4000;

/** A RetortError as what grpc-js sends. Problems beyond 4 kB are left out, and the message is cut at 2000 characters. */
export function toStatus(error: RetortError): grpc.ServiceError {
  const code = errorTable[error.code].grpc;
  const details = wellFormed(error.message.length > maxMessageLength ? `${error.message.slice(0, maxMessageLength)} …` : error.message);
  const metadata = new grpc.Metadata();
  if (error.problems.length > 0) metadata.set(detailsKey, Buffer.from(encodeStatus(code, details, error.problems)));
  return Object.assign(new Error(details), { code, details, metadata });
}

/** Half of a surrogate pair, which a message that quotes or is cut may hold, becomes U+FFFD: grpc-js throws at it, and never answers. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

function encodeStatus(code: number, message: string, problems: readonly Problem[]): Uint8Array {
  let bytes = 0;
  const fieldViolations = problems
    .filter(({ fieldPath, description }) => {
      bytes += Buffer.byteLength(fieldPath + description);
      return bytes <= maxProblemsBytes;
    })
    .map(({ fieldPath, description }) => ({ field: fieldPath, description }));
  const value = Buffer.from(BadRequest.encode(BadRequest.fromPartial({ fieldViolations })).finish());
  const details = [Any.fromPartial({ typeUrl: `type.googleapis.com/${BadRequest.$type}`, value })];
  return Status.encode(Status.fromPartial({ code, message, details })).finish();
}

/** What grpc-js threw as a RetortError; `where` says who was called. */
export function fromStatus(thrown: unknown, where: string): RetortError {
  const { code, details, metadata } = thrown as Partial<grpc.ServiceError>;
  if (typeof code !== "number") return RetortError.from(thrown);
  const name = codeFromGrpc(code);
  const said = details ?? String(thrown);
  return new RetortError(name, explain(name, said, where), {
    cause: thrown,
    problems: decodeProblems(metadata?.get(detailsKey)[0]),
    // The same message will be too large again.
    ...(isTooLarge(name, said) ? { retry: "never" as const } : {}),
  });
}

/** What to do about a message beyond the limit. */
export const tooLargeAdvice =
  "send or ask for less in one call (fewer sequences, or a smaller signal such as top_k), or raise maxMessageBytes there and here";

/** Whether a status means that a message is beyond the limit of one of the ends. */
const isTooLarge = (code: string, said: string): boolean =>
  code === "ResourceExhausted" && /message.* larger than|maxMessageBytes/i.test(said);

/** What grpc-js itself says, completed by where it happened and the way out. */
function explain(code: string, said: string, where: string): string {
  if (isTooLarge(code, said)) return said.includes("maxMessageBytes") ? `${where}: ${said}` : `${where}: ${said}; ${tooLargeAdvice}`;
  if (code === "DeadlineExceeded" && /^Deadline exceeded/i.test(said))
    return `${where} did not answer in time (${said}); is it overloaded, or is timeoutMs too short?`;
  if (code === "Unavailable" && /^(No connection established|Name resolution failed|Connection dropped)/.test(said))
    return `${where} cannot be reached (${said}); is it running, and is the address right?`;
  return said;
}

function decodeProblems(bytes: string | Buffer | undefined): readonly Problem[] {
  if (!Buffer.isBuffer(bytes)) return [];
  const { details } = Status.decode(bytes);
  return details
    .filter(({ typeUrl }) => typeUrl.endsWith(`/${BadRequest.$type}`))
    .flatMap(({ value }) => BadRequest.decode(value).fieldViolations)
    .map(({ field, description }) => ({ fieldPath: field, description }));
}
