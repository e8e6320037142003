import type { z } from "zod";
import { type ErrorCode, type Problem, RetortError } from "../base/errors.js";

/** The status of HTTP, and the type that OpenAI's clients know, of each code; of any other 500. */
const statuses: Partial<Readonly<Record<ErrorCode, readonly [status: number, type: string]>>> = {
  InvalidArgument: [400, "invalid_request_error"],
  OutOfRange: [400, "invalid_request_error"],
  FailedPrecondition: [400, "invalid_request_error"],
  Unimplemented: [400, "invalid_request_error"],
  Unauthenticated: [401, "authentication_error"],
  PermissionDenied: [403, "permission_error"],
  NotFound: [404, "invalid_request_error"],
  Cancelled: [499, "server_error"],
  ResourceExhausted: [429, "rate_limit_error"],
  Unavailable: [503, "server_error"],
  DeadlineExceeded: [504, "server_error"],
};

/** An error as OpenAI's clients read it. */
export function errorAnswer(error: RetortError): { readonly status: number; readonly body: object } {
  const [status, type] = statuses[error.code] ?? [500, "server_error"];
  return { status, body: { error: { message: error.message, type, param: error.fieldPath ?? null, code: error.code } } };
}

/**
 * A request's body in its form.
 *
 * @throws InvalidArgument naming every field that is unknown or malformed
 */
export function bodyIn<T>(form: z.ZodType<T>, body: unknown): T {
  const { data, error } = form.safeParse(body);
  if (error === undefined) return data;
  const problems = error.issues.flatMap((issue): Problem[] => {
    const at = issue.path.join(".");
    if (issue.code !== "unrecognized_keys") return [{ fieldPath: at, description: issue.message }];
    return issue.keys.map((key) => ({ fieldPath: at ? `${at}.${key}` : key, description: "is not known here; leave it out" }));
  });
  throw RetortError.ofProblems("the request", problems);
}
