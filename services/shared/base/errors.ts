/** The gRPC status codes that are errors, by name; their number is their place in gRPC's table. */
export const errorCodes = {
  Cancelled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * What the consumer of a record does when its handler fails with a code: `terminate` records the outcome and drops the
 * record for good, `giveBack` returns it for another try after a delay, `fail` ends the process (its supervisor restarts
 * it, and the record is delivered again).
 */
export const consumerAction: { readonly [Code in ErrorCode]: "terminate" | "giveBack" | "fail" } = {
  Aborted: "giveBack",
  AlreadyExists: "terminate",
  Cancelled: "giveBack",
  DataLoss: "terminate",
  DeadlineExceeded: "giveBack",
  FailedPrecondition: "terminate",
  Internal: "fail",
  InvalidArgument: "terminate",
  NotFound: "terminate",
  OutOfRange: "terminate",
  PermissionDenied: "fail",
  ResourceExhausted: "giveBack",
  Unauthenticated: "fail",
  Unavailable: "giveBack",
  Unimplemented: "terminate",
  Unknown: "fail",
};

/** One thing that is wrong with an input: the path of the field, and what to do about it. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

/**
 * The one error class. Its message says what is wrong (field and value) and the way out.
 * `retry` follows from the code: the same call may succeed later, or never will.
 */
export class RetortError extends Error {
  override readonly name = "RetortError";
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }

  get retry(): "never" | "later" {
    return consumerAction[this.code] === "giveBack" ? "later" : "never";
  }

  /** Any thrown value as a RetortError: unchanged if it is one; otherwise of `code`, with the original as its cause. */
  static from(thrown: unknown, code: ErrorCode = "Internal"): RetortError {
    if (thrown instanceof RetortError) return thrown;
    if (thrown instanceof Error) return new RetortError(code, thrown.message, { cause: thrown });
    return new RetortError(code, String(thrown), { cause: thrown });
  }

  /** One InvalidArgument error over several problems, each on a line of its own. */
  static invalid(what: string, problems: readonly Problem[]): RetortError {
    const lines = problems.map(({ field, message }) => `  ${field ? `${field}: ` : ""}${message}`);
    return new RetortError("InvalidArgument", `${what}:\n${lines.join("\n")}`, { problems });
  }
}
