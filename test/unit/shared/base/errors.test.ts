import { runInNewContext } from "node:vm";
import { codeFromGrpc, type ErrorCode, errorTable, RetortError } from "../../../../services/shared/base/errors.js";

describe("errorTable", () => {
  it("has gRPC's 16 codes, each number once", () => {
    expect(
      Object.values(errorTable)
        .map((row) => row.grpc)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  });

  it("is read backwards by codeFromGrpc()", () => {
    for (const [code, row] of Object.entries(errorTable)) expect(codeFromGrpc(row.grpc)).toBe(code);
    expect(codeFromGrpc(99)).toBe("Unknown");
  });

  it("never lets a bad spec look like a crash", () => {
    const spec = (["InvalidArgument", "OutOfRange", "FailedPrecondition", "NotFound", "Unimplemented"] as const).map(
      (c) => errorTable[c].exit,
    );
    const crash = (["Internal", "Unknown"] as const).map((c) => errorTable[c].exit as number);
    expect(spec.filter((exit) => crash.includes(exit))).toEqual([]);
  });
});

describe("exitCode", () => {
  const passing = [69, 75, 130];

  it.each(Object.keys(errorTable) as ErrorCode[])("of %s asks for another try only if one may succeed", (code) => {
    expect(passing).not.toContain(new RetortError(code, "x", { retry: "never" }).exitCode);
    expect(new RetortError(code, "x").exitCode).toBe(errorTable[code].exit);
  });

  it("of what can never succeed is one of a bad input, except where another process does the work now", () => {
    expect(new RetortError("DeadlineExceeded", "x", { retry: "never" }).exitCode).toBe(78);
    expect(new RetortError("Aborted", "x", { retry: "never" }).exitCode).toBe(70);
  });
});

describe("RetortError", () => {
  it.each<[ErrorCode, string]>([
    ["InvalidArgument", "terminate"],
    ["DataLoss", "terminate"],
    ["Unavailable", "giveBack"],
    ["Aborted", "giveBack"],
    ["Cancelled", "giveBack"],
    ["Internal", "fail"],
    ["Unauthenticated", "fail"],
  ])("says what becomes of a message after %s: %s", (code, disposition) => {
    expect(new RetortError(code, "x").disposition).toBe(disposition);
  });

  it("gives a message back when it may succeed later after all", () => {
    expect(new RetortError("NotFound", "weights 3 are not there yet", { retry: "later" }).disposition).toBe("giveBack");
  });

  it.each([
    ["InvalidArgument", 1, true],
    ["Internal", 2, false],
    ["Internal", 3, true],
    ["Internal", 4, true],
    ["Unavailable", 9, false],
  ] as const)("says whether a message has failed for good after %s at attempt %i of 3: %s", (code, attempt, isFinal) => {
    expect(new RetortError(code, "x").isFinal(attempt, 3)).toBe(isFinal);
  });

  it("survives plain data", () => {
    const error = new RetortError("OutOfRange", "no", { fieldPath: "a.b", retry: "later" });
    const again = RetortError.fromData(structuredClone(error.toJSON()));
    expect(again.toJSON()).toEqual(error.toJSON());
    expect(again).toBeInstanceOf(RetortError);
  });
});

describe("RetortError.from()", () => {
  it("passes a RetortError unchanged", () => {
    const error = new RetortError("Aborted", "x");
    expect(RetortError.from(error)).toBe(error);
  });

  it.each([
    ["a bug", new TypeError("x is not a function"), "Internal"],
    ["an error of another realm", runInNewContext("new RangeError('far')"), "Internal"],
    ["a missing file", Object.assign(new Error("ENOENT"), { code: "ENOENT" }), "NotFound"],
    ["a refused connection", Object.assign(new Error("refused"), { code: "ECONNREFUSED" }), "Unavailable"],
    ["a full disk", Object.assign(new Error("full"), { code: "ENOSPC" }), "ResourceExhausted"],
    ["an aborted signal", AbortSignal.abort().reason, "Cancelled"],
    ["a string", "oops", "Unknown"],
    ["nothing", undefined, "Unknown"],
  ])("makes of %s the code of its kind", (_, thrown, code) => {
    expect(RetortError.from(thrown).code).toBe(code);
  });

  it("makes of a passed time limit DeadlineExceeded", async () => {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    expect(RetortError.from(signal.reason).code).toBe("DeadlineExceeded");
  });
});

describe("RetortError.ofProblems()", () => {
  it("lists every problem with its field", () => {
    const problems = [
      { fieldPath: "phases[0].beta", description: "is 2; it must lie in [0, 1]" },
      { fieldPath: "", description: "no teacher" },
    ];
    const error = RetortError.ofProblems("run spec", problems);
    expect(error.message).toBe("run spec has 2 problems:\n  - phases[0].beta: is 2; it must lie in [0, 1]\n  - no teacher");
    expect(error).toMatchObject({ code: "InvalidArgument", problems, fieldPath: "phases[0].beta" });
  });
});
