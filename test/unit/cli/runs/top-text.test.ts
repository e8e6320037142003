import { stripVTControlCharacters } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import stringWidth from "string-width";
import { topText } from "../../../../services/cli/runs/top-text.js";
import { ReadProcessesResponseSchema } from "../../../../services/shared/gen/retort/v1/controller_pb.js";
import { Work } from "../../../../services/shared/gen/retort/v1/events_pb.js";
import { RunSchema, RunState } from "../../../../services/shared/gen/retort/v1/run_pb.js";
import { paper } from "../../../support/cli/paper.js";

const now = 1_000_000_000;
const ago = (seconds: number) => timestampFromMs(now - 1000 * seconds);
const run = create(RunSchema, { runId: "gkd-1", state: RunState.RUNNING, step: 40, totalSteps: 100 });
const learner = { role: "learner", instance: "host-1" };
const teacher = { role: "teacher", teacher: "big", instance: "host-2" };
const figures = {
  seconds: 10,
  workSeconds: 5,
  tokens: 3000n,
  cpuSeconds: 15,
  residentBytes: 2_000_000_000n,
  peakResidentBytes: 3_000_000_000n,
};
const state = create(ReadProcessesResponseSchema, {
  pace: { step: 40, seconds: 2.5, tokensPerSecond: 310.4, stalenessMean: 0.25, stalenessMax: 1, tasksInFlight: 8 },
  processes: [
    {
      process: teacher,
      activity: { work: Work.WAITING, message: "completions to score" },
      figures: { ...figures, deviceBytes: 1_000_000_000n },
      since: ago(7),
      heard: ago(3),
    },
    {
      process: learner,
      activity: { work: Work.EVALUATING, message: "version 40", done: 3n, total: 16n },
      figures,
      since: ago(90),
      heard: ago(1),
    },
    { process: { role: "student", instance: "host-3" }, heard: ago(30) },
    { process: { role: "student", instance: "host-0" }, figures, heard: ago(3600) },
  ],
  queues: [
    { role: "student", waiting: 4n, inHand: 2n },
    { role: "teacher", teacher: "big", waiting: 0n, inHand: 1n, redelivered: 1n },
  ],
});

const plain = paper({ isTTY: false }).out;

describe("topText()", () => {
  it("says of each run how it goes, what its processes are at and use, and what waits", () => {
    expect(
      topText([{ run, state }], now, plain)
        .split("\n")
        .map((line) => line.replace(/ {2,}/g, " | ")),
    ).toEqual([
      "gkd-1 · running · step 40/100 · ETA 2 min 30 s",
      "310 tok/s · 2.5 s a step · stale 0.3 (at most 1) · 8 tasks in flight",
      "process | at | busy | tok/s | CPU | memory | peak | heard",
      "learner host-1 | evaluating version 40 3/16 (1 min 30 s) | 50 % | 300 | 150 % | 2.0 GB | 3.0 GB | 1 s ago",
      "student host-3 | has ended | – | – | – | – | – | 30 s ago",
      "teacher host-2 | waiting for completions to score (7 s) | 50 % | 300 | 150 % | 2.0 GB + 1.0 GB | 3.0 GB | 3 s ago",
      "queue | waiting | in hand | given again",
      "student | 4 | 2 | 0",
      "teacher | 0 | 1 | 1",
    ]);
  });

  it.each([80, 120])("has lines that fit %i columns", (columns) => {
    const lines = topText([{ run, state }], now, paper({ isTTY: true, columns }).out).split("\n");
    for (const line of lines) expect(stringWidth(stripVTControlCharacters(line))).toBeLessThanOrEqual(columns);
    expect(lines.some((line) => line.includes("learner host-1") && line.includes("2.0 GB"))).toBe(true);
    // Half a number is another number.
    expect(lines.filter((line) => /\d…/.test(line))).toEqual([]);
  });

  it("leaves out what all have in common: the host, the only teacher's name, and queues of texts that nobody writes", () => {
    const process = (role: string, instance: string, teacher = "") => ({ process: { role, instance, teacher }, heard: ago(1) });
    const shown = (processes: ReturnType<typeof process>[]) =>
      topText([{ run, state: create(ReadProcessesResponseSchema, { processes, queues: [{ role: "writer", teacher: "a" }] }) }], now, plain);
    const one = [process("learner", "host/12"), process("teacher", "host/13", "a")];
    expect(shown(one)).toMatch(/^learner 12 .*\nteacher 13 [^\n]*$/m);
    expect(shown([...one, process("teacher", "other/13", "b")])).toMatch(
      /^learner host\/12 .*\nteacher\/a host\/13 .*\nteacher\/b other\/13 /m,
    );
  });

  it("says so where nothing was heard, and several runs apart", () => {
    const empty = create(ReadProcessesResponseSchema);
    const text = topText(
      [
        { run: create(RunSchema, { runId: "a", state: RunState.PENDING, totalSteps: 3 }), state: empty },
        { run, state },
      ],
      now,
      plain,
    );
    expect(text).toMatch(/^a · pending · step 0\/3\nno process has said anything of late\n\ngkd-1 /);
  });
});
