import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { messageId, parseResult, type ResultKind, stepToken, subjects } from "../../../../services/shared/flow/subjects.js";
import { Purpose, TaskKeySchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";

const purposes = [Purpose.TRAIN, Purpose.EVALUATE, Purpose.DATASET] as const;
const keys = fc
  .record({
    runId: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
    purpose: fc.constantFrom(...purposes),
    step: fc.nat(1e6),
    task: fc.nat(1e4),
    attempt: fc.integer({ min: 1, max: 9 }),
  })
  .map((fields) => create(TaskKeySchema, fields));
const kinds = fc.constantFrom<ResultKind>("rollout", "score", "reward");

/** True if a NATS subject is one of those that a filter names. */
function matches(filter: string, subject: string): boolean {
  const [wanted, tokens] = [filter.split("."), subject.split(".")];
  if (wanted.at(-1) === ">")
    return tokens.length >= wanted.length && wanted.slice(0, -1).every((part, i) => part === "*" || part === tokens[i]);
  return wanted.length === tokens.length && wanted.every((part, i) => part === "*" || part === tokens[i]);
}

describe("subjects", () => {
  it("of results say what they are the result of", () => {
    fc.assert(
      fc.property(keys, kinds, (key, kind) => {
        expect(parseResult(subjects.result(key, kind))).toEqual({
          fence: key.purpose === Purpose.DATASET ? undefined : key.attempt,
          step: stepToken(key),
          task: key.task,
          kind,
        });
      }),
    );
  });

  it.each(["retort.results.a.1.2.3.poem", "retort.results.a.1.2.3", "retort.results.a.1.x.3.score", "retort.results.a.b.1.2.3.score"])(
    "%s is no result's",
    (subject) => expect(parseResult(subject)).toBeUndefined(),
  );

  it("of different work differ", () => {
    fc.assert(
      fc.property(keys, keys, kinds, kinds, (a, b, kindA, kindB) => {
        const same = a.runId === b.runId && a.purpose === b.purpose && a.step === b.step && a.task === b.task;
        // Texts that are written once are kept for every learner; all else is its own learner's.
        const sameOwner = a.purpose === Purpose.DATASET || a.attempt === b.attempt;
        expect(subjects.result(a, kindA) === subjects.result(b, kindB)).toBe(same && sameOwner && kindA === kindB);
        expect(messageId(a, "task") === messageId(b, "task")).toBe(same && a.attempt === b.attempt);
      }),
    );
  });

  it("are found by the filters of their run, sampler, teacher and step, and by no other's", () => {
    fc.assert(
      fc.property(keys, keys, (key, other) => {
        const names = ["", "math", "prose"];
        for (const name of names) {
          for (const filter of names) {
            expect(matches(subjects.prompts(key.runId, filter), subjects.prompt(key, name))).toBe(name === filter);
            expect(matches(subjects.rollouts(key.runId, filter || "none"), subjects.rollout(key, name))).toBe(name === filter);
          }
          expect(matches(subjects.rollouts(key.runId), subjects.rollout(key, name))).toBe(true);
        }
        const sameRun = key.runId === other.runId;
        const sameOwner = key.purpose === Purpose.DATASET || key.attempt === other.attempt;
        const sameStep = sameRun && sameOwner && stepToken(key) === stepToken(other);
        const written = other.purpose !== Purpose.DATASET && key.attempt === other.attempt;
        expect(matches(subjects.resultsOf(key.runId, key.attempt), subjects.result(other, "score"))).toBe(sameRun && written);
        expect(matches(subjects.results(key.runId), subjects.result(other, "score"))).toBe(sameRun);
        expect(matches(subjects.results(key.runId, key), subjects.result(other, "score"))).toBe(sameStep);
        expect(matches(subjects.events(key.runId), subjects.event(other.runId, "stepFinished"))).toBe(sameRun);
      }),
    );
  });
});

describe("stepToken()", () => {
  it.each([
    [Purpose.TRAIN, "17"],
    [Purpose.EVALUATE, "e17"],
    [Purpose.DATASET, "d17"],
  ])("tells purpose %s by its letter", (purpose, token) => {
    expect(stepToken({ purpose, step: 17 })).toBe(token);
  });

  it("refuses a key without a purpose", () => {
    expect(() => stepToken({ purpose: Purpose.UNSPECIFIED, step: 1 })).toThrow(/purpose/);
  });
});
