import grpc from "@grpc/grpc-js";
import { codeFromGrpc, errorTable, type Problem, RetortError } from "../errors.js";

/** Metadata key that carries an error's problems as JSON. */
const problemsKey = "retort-problems-bin";

/** A RetortError as what grpc-js sends. */
export function toStatus(error: RetortError): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  if (error.problems.length) metadata.set(problemsKey, Buffer.from(JSON.stringify(error.problems)));
  return Object.assign(new Error(error.message), { code: errorTable[error.code].grpc, details: error.message, metadata });
}

/** What grpc-js threw as a RetortError; `where` says who was called. */
export function fromStatus(thrown: unknown, where: string): RetortError {
  const { code, details, metadata } = thrown as Partial<grpc.ServiceError>;
  if (typeof code !== "number") return RetortError.from(thrown);
  const name = codeFromGrpc(code);
  const problems = metadata?.get(problemsKey)[0];
  const message =
    name === "Unavailable"
      ? `${where} cannot be reached (${details}); is it running, and is the address right?`
      : (details ?? String(thrown));
  return new RetortError(name, message, { cause: thrown, problems: problems ? (JSON.parse(problems.toString()) as Problem[]) : [] });
}
