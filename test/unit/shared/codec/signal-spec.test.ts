import { create } from "@bufbuild/protobuf";
import { checkChosen, checkSignalFields, signalFor, signalOf } from "../../../../services/shared/codec/signal-spec.js";
import { resolveObjective } from "../../../../services/shared/flow/runs/resolve.js";
import { SignalSpecSchema } from "../../../../services/shared/gen/retort/v1/flow_pb.js";
import { signalKinds } from "../../../../services/shared/ml/signals/table.js";

const spec = (fields: Record<string, unknown>) => create(SignalSpecSchema, { kind: "full", temperature: 1, ...fields });

describe("signalOf()", () => {
  it.each(signalKinds)("reads back what an objective with the signal %s asks for, with fields that the kind reads", (signal) => {
    const asked = spec(signalFor(resolveObjective({}, { signal, topK: 7, hiddenDtype: "float32", teacherTemperature: 2 }, 1)));
    expect(() => checkSignalFields(asked)).not.toThrow();
    expect(signalOf(asked)).toEqual({
      kind: signal,
      k: /_k$/.test(signal) ? 7 : 0,
      temperature: 2,
      ...(signal === "hidden" ? { hiddenDtype: "float32" } : {}),
    });
  });

  it("takes hidden states in float16 where no type is named", () => {
    expect(signalOf(spec({ kind: "hidden" }))).toMatchObject({ hiddenDtype: "float16" });
  });

  it.each(["", "Full", "toString", "top_p"])("refuses the kind %j by name", (kind) => {
    expect(() => signalOf(spec({ kind }))).toThrow(
      expect.objectContaining({ code: "Unimplemented", message: `signal.kind is "${kind}"; this version knows ${signalKinds.join(", ")}` }),
    );
  });

  it("refuses another type of hidden states by name", () => {
    expect(() => signalOf(spec({ kind: "hidden", hiddenDtype: "bfloat16" }))).toThrow(
      expect.objectContaining({ fieldPath: "signal.hiddenDtype", message: 'signal.hiddenDtype is "bfloat16"; use float16 or float32' }),
    );
  });
});

describe("checkSignalFields()", () => {
  it.each<[string, Record<string, unknown>]>([
    ["signal.k is 5; sampled has none: leave it out, or ask for random_k, student_top_k, top_k", { kind: "sampled", k: 5 }],
    ["signal.hiddenDtype is float32; top_k sends no hidden states", { kind: "top_k", k: 3, hiddenDtype: "float32" }],
    ["signal.temperature is 0.0001; it must lie in [0.001, 1000]", { temperature: 1e-4 }],
  ])("says that %s", (message, fields) => {
    expect(() => checkSignalFields(spec(fields))).toThrow(message);
  });
});

describe("checkChosen()", () => {
  const sequences = [{}, { studentTopIds: {} }];
  const path = (i: number) => `sequences[${i}].studentTopIds`;

  it("names the first sequence with classes that the signal does not ask about", () => {
    expect(() => checkChosen("top_k", sequences, path)).toThrow(
      expect.objectContaining({
        fieldPath: "sequences[1].studentTopIds",
        message: "sequences[1].studentTopIds is given; only the signal student_top_k reads it, and signal.kind is top_k",
      }),
    );
  });

  it("takes them where the signal does", () => {
    expect(() => checkChosen("student_top_k", sequences, path)).not.toThrow();
  });
});
