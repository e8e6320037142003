import { choicesFor, type Way } from "../../../../services/cli/specs/choices.js";
import type { Lengths, Survey, SurveyedData, SurveyedModel } from "../../../../services/cli/specs/survey.js";

const model: SurveyedModel = {
  directory: "models/small",
  family: "llama",
  parameters: 135e6,
  context: 8192,
  dtype: "bfloat16",
  hasChatTemplate: true,
  adapted: false,
};
const lengths = (median: number): Lengths => ({ median, most: 2 * median, longest: 3 * median });
const data: SurveyedData = {
  path: "rows.jsonl",
  columns: {},
  rows: 1000,
  isWhole: true,
  chat: true,
  prompts: lengths(40),
  completions: lengths(100),
  references: lengths(20),
  numeric: false,
};

const chosen = (student: Partial<SurveyedModel> = {}, rows: Partial<SurveyedData> = {}, more: Partial<Survey> = {}, way: Way = "weights") =>
  choicesFor({ student: { ...model, ...student }, teacher: model, data: { ...data, ...rows }, heldOut: undefined, ...more }, way);

describe("choicesFor()", () => {
  it.each<[number, Way, number]>([
    [3000, "weights", 1.8e-3],
    [135e6, "weights", 1.5e-4],
    [1.24e9, "weights", 5e-5],
    [8e9, "weights", 2e-5],
    [8e9, "adapter", 2e-4],
  ])("has the learning rate that is usual for %d parameters (%s)", (parameters, way, rate) => {
    expect(chosen({ parameters }, {}, {}, way).learningRate).toBe(rate);
  });

  it("takes the rate of adapters for the directory of one", () => {
    expect(chosen({ adapted: true }).learningRate).toBe(1.5e-3);
  });

  it("goes a few times over the rows, in steps of a usual size, within bounds", () => {
    expect(chosen()).toMatchObject({ holdOut: 100, trained: 900, batchSize: 32, steps: 84, warmupSteps: 4 });
    expect(chosen({}, { rows: 39 })).toMatchObject({ holdOut: 0, trained: 39, batchSize: 32, steps: 50, warmupSteps: 3 });
    expect(chosen({}, { rows: 2 })).toMatchObject({ holdOut: 0, batchSize: 4, steps: 50 });
    expect(chosen({}, {}, { heldOut: "test.jsonl" })).toMatchObject({ holdOut: 0, trained: 1000 });
  });

  it("leaves room for nearly all completions, as far as the contexts have it", () => {
    expect(chosen().maxNewTokens).toBe(208);
    expect(chosen({}, { completions: undefined }).maxNewTokens).toBe(256);
    expect(chosen({ context: 128 }).maxNewTokens).toBe(48);
    expect(chosen({}, {}, { teacher: { ...model, context: 100 } }).maxNewTokens).toBe(20);
    expect(chosen({ context: 64 }).maxNewTokens).toBe(1);
  });

  it("compares with references as they are", () => {
    expect(chosen().metric).toBe("");
    expect(chosen({}, { references: lengths(33) }).metric).toBe("rouge_l");
    expect(chosen({}, { references: lengths(33), numeric: true }).metric).toBe("numeric");
    expect(chosen({}, { references: undefined }).metric).toBe("");
  });

  it("distils where there is a teacher", () => {
    expect(chosen().preset).toBe("on_policy_kd");
    expect(chosen({}, {}, { teacher: undefined }).preset).toBe("sft");
  });
});
