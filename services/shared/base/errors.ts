/**
 * The one error class. Every failure that crosses a boundary (gRPC, NATS, worker thread, exit code) is a RetortError,
 * and what happens to it there is read from one table, `errorTable`.
 */

/** What a consumer does with the message it was handling: end it for good with a recorded outcome, give it back for a later try, or stop the process. */
export type Disposition = "terminate" | "giveBack" | "fail";

/** Whether the same call may succeed if it is repeated unchanged after a while. */
export type Retry = "never" | "later";

interface ErrorRow {
  /** Number of the code on the gRPC wire. */
  readonly grpc: number;
  readonly retry: Retry;
  readonly disposition: Disposition;
  /** Process exit code (sysexits.h where it has a word for it). 64..66, 73, 77 and 78 mean: the same input will fail again. */
  readonly exit: number;
}

/** Every error code, in gRPC's numbering, and what each boundary does with it. */
export const errorTable = {
  Cancelled: { grpc: 1, retry: "later", disposition: "giveBack", exit: 130 },
  Unknown: { grpc: 2, retry: "never", disposition: "fail", exit: 70 },
  InvalidArgument: { grpc: 3, retry: "never", disposition: "terminate", exit: 64 },
  DeadlineExceeded: { grpc: 4, retry: "later", disposition: "giveBack", exit: 75 },
  NotFound: { grpc: 5, retry: "never", disposition: "terminate", exit: 66 },
  AlreadyExists: { grpc: 6, retry: "never", disposition: "terminate", exit: 73 },
  PermissionDenied: { grpc: 7, retry: "never", disposition: "fail", exit: 77 },
  ResourceExhausted: { grpc: 8, retry: "later", disposition: "giveBack", exit: 75 },
  FailedPrecondition: { grpc: 9, retry: "never", disposition: "terminate", exit: 78 },
  Aborted: { grpc: 10, retry: "later", disposition: "giveBack", exit: 75 },
  OutOfRange: { grpc: 11, retry: "never", disposition: "terminate", exit: 64 },
  Unimplemented: { grpc: 12, retry: "never", disposition: "terminate", exit: 64 },
  Internal: { grpc: 13, retry: "never", disposition: "fail", exit: 70 },
  Unavailable: { grpc: 14, retry: "later", disposition: "giveBack", exit: 69 },
  DataLoss: { grpc: 15, retry: "never", disposition: "terminate", exit: 65 },
  Unauthenticated: { grpc: 16, retry: "never", disposition: "fail", exit: 77 },
} as const satisfies Record<string, ErrorRow>;

/** One of the 16 gRPC code names. */
export type ErrorCode = keyof typeof errorTable;

/** One thing that is wrong with an input: which field, and a sentence that says what to do. */
export interface Problem {
  /** Path of the field, as `objective.lambda` or `teachers[0].model`; empty when it concerns the whole. */
  readonly fieldPath: string;
  readonly description: string;
  /** Where it stands, if it was read from a file. */
  readonly place?: Place;
  /** What was probably meant. */
  readonly suggestion?: string;
}

/** A place in a text file; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a RetortError may carry beside its code and message. */
export interface RetortErrorOptions {
  /** The field that is at fault; short for one problem with the error's message. */
  readonly fieldPath?: string;
  /** All that is wrong, when it is more than one thing. */
  readonly problems?: readonly Problem[];
  /** Overrides the code's own answer. */
  readonly retry?: Retry;
  readonly cause?: unknown;
}

/** The plain-data form of a RetortError, for a worker thread's boundary, a log line or `--json`. */
export interface RetortErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retry: Retry;
  readonly problems: readonly Problem[];
  readonly stack?: string;
}

/**
 * The one error class of Retort: a gRPC code, a message that names field, value and way out, and whether to try again.
 *
 * @example throw new RetortError("OutOfRange", "lambda is 1.5; it must lie in [0, 1]", { fieldPath: "objective.lambda" });
 */
export class RetortError extends Error {
  override readonly name = "RetortError";
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: RetortErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = options.retry ?? errorTable[code].retry;
    this.problems = options.problems ?? (options.fieldPath === undefined ? [] : [{ fieldPath: options.fieldPath, description: message }]);
  }

  /** Path of the first field at fault, if the error is about a field. */
  get fieldPath(): string | undefined {
    return this.problems[0]?.fieldPath;
  }

  /** What a consumer does with the message whose handling threw this. */
  get disposition(): Disposition {
    const own = errorTable[this.code].disposition;
    return own === "terminate" && this.retry === "later" ? "giveBack" : own;
  }

  /**
   * Whether a message that failed with this has failed for good, to be recorded as its outcome. What passes by itself is no outcome;
   * a bug may be this process's own: another one gets to try, until the last attempt.
   *
   * @param attempt 1 for the first delivery
   */
  isFinal(attempt: number, maxAttempts: number): boolean {
    return this.disposition === "terminate" || (this.disposition === "fail" && attempt >= maxAttempts);
  }

  /** Exit code of a process that ends because of this: one that asks for another try only if another try may succeed. */
  get exitCode(): number {
    const { exit, retry } = errorTable[this.code];
    if (retry === "never" || this.retry === "later") return exit;
    // Another process does the work now: this one must not be told from one that crashed as having a bad input.
    return this.code === "Aborted" ? errorTable.Internal.exit : errorTable.FailedPrecondition.exit;
  }

  /** This error as plain data; `fromData` is its inverse. The cause becomes part of the stack. */
  toJSON(): RetortErrorData {
    const { code, message, retry, problems } = this;
    const cause = (this.cause as { stack?: unknown } | undefined)?.stack;
    return { code, message, retry, problems, stack: typeof cause === "string" ? `${this.stack}\nCaused by: ${cause}` : this.stack };
  }

  /** Rebuilds an error from its plain data, keeping the remote stack. */
  static fromData(data: RetortErrorData): RetortError {
    const error = new RetortError(data.code, data.message, { retry: data.retry, problems: data.problems });
    if (data.stack !== undefined) error.stack = data.stack;
    return error;
  }

  /**
   * Any thrown value as a RetortError. RetortErrors pass unchanged, AbortSignal's errors become Cancelled or DeadlineExceeded, system errors
   * (ENOENT, ECONNREFUSED …) get the code of their kind, any other Error is a bug (Internal), and a thrown non-error is Unknown.
   */
  static from(thrown: unknown): RetortError {
    if (thrown instanceof RetortError) return thrown;
    // Not `instanceof Error`: errors of worker threads and of other realms (vm contexts) have their own Error class.
    if (typeof thrown !== "object" || thrown === null || !("message" in thrown))
      return new RetortError("Unknown", String(thrown), { cause: thrown });
    const { name, message, code } = thrown as { name?: unknown; message: unknown; code?: unknown };
    if (code === "ERR_INVALID_ARG_VALUE" && /null bytes/.test(String(message)))
      return new RetortError("InvalidArgument", "a path holds a NUL character, which no file's name can; remove it", { cause: thrown });
    return new RetortError(codeOf(name, code), String(message), { cause: thrown });
  }

  /**
   * One InvalidArgument that lists every problem, one to a line.
   *
   * @param what what was checked, as the sentence's subject: "run spec".
   */
  static ofProblems(what: string, problems: readonly Problem[], code: ErrorCode = "InvalidArgument"): RetortError {
    const lines = problems.map(problemText);
    const only = problems.length === 1 && (problems[0]?.place ? `${lines[0]}` : `${what}: ${lines[0]}`);
    const message = only || `${what} has ${lines.length} problems:\n${lines.map((l) => `  - ${l}`).join("\n")}`;
    return new RetortError(code, message, { problems });
  }
}

/** A problem in one line: its place as editors and terminals link it, its field, what is wrong. */
export function problemText({ fieldPath, description, place }: Problem): string {
  const said = fieldPath === "" ? description : `${fieldPath}: ${description}`;
  return place ? `${place.file}:${place.line}:${place.column}: ${said}` : said;
}

const codeOfSystemError: Readonly<Record<string, ErrorCode>> = {
  EACCES: "PermissionDenied",
  EADDRINUSE: "AlreadyExists",
  ECONNREFUSED: "Unavailable",
  ECONNRESET: "Unavailable",
  EEXIST: "AlreadyExists",
  EISDIR: "InvalidArgument",
  ELOOP: "InvalidArgument",
  EMFILE: "ResourceExhausted",
  ENAMETOOLONG: "InvalidArgument",
  ENOENT: "NotFound",
  ENOSPC: "ResourceExhausted",
  ENOTDIR: "NotFound",
  ENOTFOUND: "Unavailable",
  EPERM: "PermissionDenied",
  EPIPE: "Unavailable",
  ETIMEDOUT: "DeadlineExceeded",
};

function codeOf(name: unknown, code: unknown): ErrorCode {
  if (name === "AbortError") return "Cancelled";
  if (name === "TimeoutError") return "DeadlineExceeded";
  return (typeof code === "string" && codeOfSystemError[code]) || "Internal";
}

const codeOfGrpcNumber: ReadonlyMap<number, ErrorCode> = new Map(
  Object.entries(errorTable).map(([name, row]) => [row.grpc, name as ErrorCode]),
);

/** The error code of a gRPC status number; a number that gRPC does not define is Unknown. */
export function codeFromGrpc(status: number): ErrorCode {
  return codeOfGrpcNumber.get(status) ?? "Unknown";
}
