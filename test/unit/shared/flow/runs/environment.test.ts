import { resolveRun } from "../../../../../services/shared/flow/runs/resolve.js";
import { checkSpec } from "../../../../support/runs/check-spec.js";
import { specOf } from "../../../../support/runs/run-spec.js";

const problemsOf = (...given: Parameters<typeof specOf>) =>
  checkSpec(specOf(...given)).map(({ fieldPath, description }) => `${fieldPath} ${description}`);

describe("a spec's environment", () => {
  it("has bounds of its own, and by default none is there", () => {
    expect(resolveRun(specOf()).environment).toBeUndefined();
    expect(resolveRun(specOf({ environment: { kind: "calculator" } })).environment).toEqual({
      kind: "calculator",
      address: "",
      maxTurns: 8,
      maxReplyTokens: 512,
    });
    const given = { kind: "external", address: "[::1]:70", maxTurns: 3, maxReplyTokens: 9 } as const;
    expect(resolveRun(specOf({ environment: given })).environment).toEqual(given);
  });

  it("may be any that there is, with or without its reward", () => {
    expect(problemsOf({ environment: { kind: "calculator" }, rewards: [{ kind: "environment" }] })).toEqual([]);
    expect(problemsOf({ environment: { kind: "external", address: "https://games.example:443" } })).toEqual([]);
  });

  it.each<[string, Parameters<typeof specOf>[0], RegExp]>([
    ["an unknown kind", { environment: { kind: "calculater", address: "" } }, /^environment\.kind .*calculator/],
    ["no kind", { environment: { address: "a:1" } }, /^environment\.kind /],
    ["no address", { environment: { kind: "external" } }, /^environment\.address is ""; give host:port/],
    ["an address that is none", { environment: { kind: "external", address: "unix:/x" } }, /^environment\.address is "unix:\/x"/],
    [
      "an address of what is no server",
      { environment: { kind: "calculator", address: "a:1" } },
      /^environment\.address .* leave it out, or take kind: external/,
    ],
    ["too many turns", { environment: { kind: "calculator", maxTurns: 2000 } }, /^environment\.maxTurns /],
    [
      "texts that a teacher writes",
      { environment: { kind: "calculator" }, data: { generate: { texts: 3 } } },
      /^data\.generate has a teacher write texts that no environment answers/,
    ],
    ["its reward without it", { rewards: [{ kind: "environment" }] }, /^rewards\[0\]\.kind is environment, and the run has none/],
  ])("is refused with %s", (_, fields, message) => {
    const problems = problemsOf(fields);
    expect(problems).toEqual([expect.stringMatching(message)]);
  });
});
