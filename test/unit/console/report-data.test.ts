import { create } from "@bufbuild/protobuf";
import { FileSource } from "../../../services/console/source/file-source.js";
import { type ReportData, readReportData, writeReportData } from "../../../services/console/source/report-data.js";
import { ReadFiguresResponseSchema } from "../../../services/shared/gen/retort/v1/controller_pb.js";
import { EvaluationFinishedSchema, RunEventSchema, SamplesRecordedSchema } from "../../../services/shared/gen/retort/v1/events_pb.js";
import { RunSchema, RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";

const sample = (prompt: string, reward: number, length: number, finished = true) => ({
  prompt,
  reward,
  finished,
  tokens: Array<string>(length).fill("a"),
});
const data: ReportData = {
  summary: {
    title: "<both>",
    paragraphs: ["one"],
    models: [{ name: "teacher", facts: [["is", "large"]], evaluation: create(EvaluationFinishedSchema, { greedy: 1 }), aside: true }],
  },
  about: [["at", "noon"]],
  runs: [
    {
      run: create(RunSchema, { runId: "r", state: RunState.SUCCEEDED, message: "</script><b>" }),
      figures: create(ReadFiguresResponseSchema, {
        figures: [{ name: "loss", steps: [1], mean: [Number.NaN] }, { name: "reward" }],
        lastStep: 1,
      }),
      samples: [
        create(SamplesRecordedSchema, { step: 1, samples: [sample("a", 0, 3), sample("b", 1, 9)] }),
        create(SamplesRecordedSchema, { step: 5, samples: [sample("c", 1, 3, false)] }),
      ],
      events: [create(RunEventSchema, { sequence: 4n, event: { case: "warning", value: { message: "m" } } })],
    },
  ],
};

describe("a report's data", () => {
  it("is read as it was written, numbers that aren't finite included", () => {
    expect(readReportData(writeReportData(data))).toEqual(data);
  });

  it("can't end the element that it stands in", () => {
    expect(writeReportData(data)).not.toContain("<");
  });
});

describe("FileSource", () => {
  const source = new FileSource(data);
  const prompts = async (filter: object) =>
    (await source.samples("r", filter)).flatMap(({ samples }) => samples.map(({ prompt }) => prompt));

  it.each([
    [{}, ["c", "a", "b"]],
    [{ lastStep: 4 }, ["a", "b"]],
    [{ minReward: 0.5 }, ["c", "b"]],
    [{ maxTokens: 3, finished: true }, ["a"]],
    [{ limit: 2 }, ["c", "a"]],
    [{ firstStep: 9 }, []],
  ])("lists the samples that pass %j, newest first", async (filter, expected) => {
    expect(await prompts(filter)).toEqual(expected);
  });

  it("opens a summary, else the only run, else all beside each other", () => {
    const run = (runId: string) => ({ ...data.runs[0]!, run: create(RunSchema, { runId }) });
    const home = (runs: ReportData["runs"], summary?: ReportData["summary"]) => new FileSource({ about: [], summary, runs }).home;
    expect(home(data.runs, data.summary)).toEqual(["summary"]);
    expect(home([run("r")])).toEqual(["run", "r"]);
    expect(home([run("r"), run("s")])).toEqual(["compare", "r,s"]);
  });

  it("gives the curves that are asked for, and names what it has when it hasn't a run", async () => {
    expect((await source.figures("r", ["reward"])).figures.map(({ name }) => name)).toEqual(["reward"]);
    await expect(source.run("q")).rejects.toThrow("it holds r");
  });
});
