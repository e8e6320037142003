import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { counted, nounFor } from "../../shared/base/counted.js";
import type { DiskEstimate, MemorySaving, PhaseEstimate, RoleEstimate, RunEstimate } from "../../shared/gen/retort/v1/estimate_pb.js";
import { duration } from "../terminal/pace.js";
import { type Out, styleFor } from "../terminal/style.js";
import { type Column, textTable } from "../terminal/text-table.js";
import type { PeakMemory, PhaseTimes, RunTimes, Spread } from "./run-times.js";

/** What a run is expected to take, as far as it is known. */
export interface Plan {
  readonly estimate: RunEstimate;
  /** By a probe. */
  readonly times?: RunTimes;
  /** Of an hour of all machines together, in any currency. */
  readonly pricePerHour?: number;
}

const roleColumns: readonly Column[] = [
  { name: "role", rank: 3 },
  { name: "processes", align: "right", rank: 1, whole: true },
  { name: "parameters", align: "right", rank: 3, whole: true },
  { name: "trained", align: "right", rank: 2, whole: true },
  { name: "weights", rank: 1 },
  { name: "memory", align: "right", rank: 3, whole: true },
  { name: "measured", align: "right", rank: 3, whole: true },
];
const phaseColumns: readonly Column[] = [
  { name: "phase", rank: 3 },
  { name: "steps", align: "right", rank: 3, whole: true },
  { name: "sequences", align: "right", rank: 2, whole: true },
  { name: "completion tokens", align: "right", rank: 3, whole: true },
  { name: "prompt tokens", align: "right", rank: 2, whole: true },
  { name: "through NATS", align: "right", rank: 1, whole: true },
];
const diskColumns: readonly Column[] = [{ name: "files" }, { name: "each", align: "right" }, { name: "at once", align: "right" }];
const timeColumns: readonly Column[] = [
  { name: "measured", rank: 3 },
  { name: "a step", align: "right", rank: 3, whole: true },
  { name: "training", align: "right", rank: 1, whole: true },
  { name: "waiting", align: "right", rank: 1, whole: true },
  { name: "publishing", align: "right", rank: 0, whole: true },
  { name: "completions", align: "right", rank: 2, whole: true },
  { name: "all steps", align: "right", rank: 3, whole: true },
];

/** A plan as text that is as wide as its terminal. */
export function planText({ estimate, times, pricePerHour }: Plan, out: Out): string {
  const { roles, phases, evaluation, disk, streamBytes } = estimate;
  const peaks = new Map(times?.peaks.map((peak) => [nameOf(peak), peak]));
  const drop = <T>(columns: readonly T[], last: boolean) => (last ? columns : columns.slice(0, -1));
  const blocks = [
    textTable(
      drop(roleColumns, peaks.size > 0),
      roles.map((role) => drop(roleRow(role, peaks), peaks.size > 0)),
      out,
    ),
    memoryText(estimate, out),
    "",
    textTable(phaseColumns, phases.map(phaseRow), out),
  ];
  if (evaluation) {
    const { evaluations, completions, completionTokens } = evaluation;
    blocks.push(
      `${counted(evaluations, "evaluation")} of ${count(completions)} ${nounFor(completions, "completion")}, ${short(completionTokens)} tokens each at most`,
    );
  }
  if (disk) {
    const total = `${bytesInWords(Number(disk.totalBytes))} of disk, and ${bytesInWords(Number(streamBytes))} in NATS's streams, at most`;
    blocks.push("", textTable(diskColumns, diskRows(disk), out), total);
  }
  if (times) blocks.push("", textTable(timeColumns, times.phases.map(timeRow), out), "", ...timeLines(times, pricePerHour, out));
  return blocks.join("\n");
}

const nameOf = ({ role, teacher }: { readonly role: string; readonly teacher: string }): string =>
  role === "teacher" && teacher && teacher !== "default" ? `${role} ${teacher}` : role;

function roleRow(role: RoleEstimate, peaks: ReadonlyMap<string, PeakMemory>): string[] {
  const { processes, parameters, trainedParameters, dtype, memoryBytes, device } = role;
  const peak = peaks.get(nameOf(role));
  return [
    nameOf(role),
    String(processes),
    short(parameters),
    trainedParameters ? short(trainedParameters) : "",
    device === "cpu" ? dtype : `${dtype} on ${device}`,
    bytesInWords(Number(memoryBytes)),
    peak ? bytesInWords(peak.bytes) : "",
  ];
}

const phaseRow = ({ name, firstStep, lastStep, sequences, completionTokens, promptTokens, streamBytes }: PhaseEstimate): string[] => [
  name,
  count(lastStep - firstStep + 1),
  count(sequences),
  `≤ ${short(completionTokens)}`,
  promptTokens === undefined ? "" : short(promptTokens),
  bytesInWords(Number(streamBytes)),
];

/** Whether the machine that the roles share has room for them, and if not, what would take less. */
function memoryText({ memoryBytes, machineMemoryBytes, savings }: RunEstimate, out: Out): string {
  if (machineMemoryBytes === undefined) return "each process has a machine of its own";
  const [total, machine] = [Number(memoryBytes), Number(machineMemoryBytes)];
  const both = `${bytesInWords(total)} of this machine's ${bytesInWords(machine)}`;
  if (total <= machine) return both;
  return [styleFor(out).red(`${both}: it doesn't fit`), ...waysOut(savings, total - machine)].join("\n");
}

/** Settings that take less memory, each with what it takes off; a mark where it is enough by itself. */
function waysOut(savings: readonly MemorySaving[], excess: number): string[] {
  if (savings.length === 0) return ["no setting takes less: take smaller models, or a larger machine"];
  const width = Math.max(...savings.map(({ field, value }) => field.length + value.length));
  return savings.map(({ field, value, savedBytes }) => {
    const enough = Number(savedBytes) >= excess ? ", enough" : "";
    return `  ${`${field}: ${value}`.padEnd(width + 2)}  ${bytesInWords(Number(savedBytes))} less${enough}`;
  });
}

const diskRows = (disk: DiskEstimate): string[][] => [
  ["version 0", bytesInWords(Number(disk.firstVersionBytes)), "1"],
  ["versions", bytesInWords(Number(disk.versionBytes)), count(disk.versions)],
  ["checkpoints", bytesInWords(Number(disk.checkpointBytes)), count(disk.checkpoints)],
  ["trained student", bytesInWords(Number(disk.outputBytes)), "1"],
];

const timeRow = ({ name, steps, stepSeconds, seconds, meanTokens, maxTokens, ...parts }: PhaseTimes): string[] => [
  name,
  range(stepSeconds, secondsInWords),
  secondsInWords(parts.trainSeconds),
  secondsInWords(parts.waitSeconds),
  secondsInWords(parts.publishSeconds),
  `${meanTokens.toFixed(0)}${maxTokens ? ` of ${maxTokens}` : ""} tokens`,
  `${count(steps)} in ${range(seconds, duration)}`,
];

function timeLines(times: RunTimes, pricePerHour: number | undefined, out: Out): string[] {
  const { startSeconds, writeSeconds, evaluationSeconds, checkpointSeconds, total, longestSeconds } = times;
  const besides = [
    `start ${duration(startSeconds)}`,
    ...(writeSeconds ? [`texts by a teacher ${duration(writeSeconds)}`] : []),
    ...(evaluationSeconds ? [`evaluations ${duration(evaluationSeconds)}`] : []),
    ...(checkpointSeconds ? [`checkpoints ${duration(checkpointSeconds)}`] : []),
  ];
  const { bold } = styleFor(out);
  const lines = [`time  ${bold(range(total, duration))}`, `      of it ${besides.join(", ")}`];
  // Where completions are nearly as long as they may be, that is no news.
  if (longestSeconds > 1.2 * total.high) lines.push(`      ${duration(longestSeconds)} if every completion gets as long as it may`);
  if (pricePerHour === undefined) return lines;
  const price = (seconds: number) => ((seconds / 3600) * pricePerHour).toFixed(2);
  return [...lines, `cost  ${bold(range(total, price))} at ${pricePerHour} an hour`];
}

/** Two ends of a length of time; one, where they are written alike, and one unit, where both have the same. */
function range({ low, high }: Spread, words: (seconds: number) => string): string {
  const [from, to] = [words(low), words(high)];
  if (from === to) return from;
  const [number, unit, ...more] = from.split(" ");
  return `${unit && !more.length && to.endsWith(` ${unit}`) && to.split(" ").length === 2 ? number : from} to ${to}`;
}

const secondsInWords = (seconds: number): string =>
  seconds >= 100 ? duration(seconds) : `${seconds >= 10 ? seconds.toFixed(1) : seconds.toFixed(2)} s`;

const count = (value: number | bigint): string => new Intl.NumberFormat("en").format(value);

const short = (value: number | bigint): string =>
  value < 100_000 ? count(value) : new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 }).format(value);
