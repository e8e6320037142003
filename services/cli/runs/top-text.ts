import type { Timestamp } from "@bufbuild/protobuf/wkt";
import cliTruncate from "cli-truncate";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { counted } from "../../shared/base/counted.js";
import { isOver } from "../../shared/flow/runs/run-store.js";
import type { ProcessState, QueueState, ReadProcessesResponse, StepPace } from "../../shared/gen/retort/v1/controller_pb.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { duration } from "../terminal/pace.js";
import { columnsOf, type Out, styleFor } from "../terminal/style.js";
import { type Column, textTable } from "../terminal/text-table.js";

/** A run with what it is at. */
export interface GoingRun {
  readonly run: Run;
  readonly state: ReadProcessesResponse;
}

const processColumns: readonly Column[] = [
  { name: "process", rank: 3 },
  { name: "at", rank: 1 },
  { name: "busy", align: "right", rank: 3, whole: true },
  { name: "tok/s", align: "right", rank: 4, whole: true },
  { name: "CPU", align: "right", rank: 2, whole: true },
  { name: "memory", align: "right", rank: 4, whole: true },
  { name: "peak", align: "right", rank: 1, whole: true },
  { name: "heard", align: "right", rank: 1, whole: true },
];
const queueColumns: readonly Column[] = [
  { name: "queue", rank: 3 },
  { name: "waiting", align: "right", rank: 2 },
  { name: "in hand", align: "right", rank: 2 },
  { name: "given again", align: "right", rank: 1 },
];

/** A process that hasn't been heard of for so long is gone: the longest silence of one that lives is a minute in its first day. */
const goneMs = 180_000;
/** How long one that has ended is still shown. */
const endedMs = 60_000;

/** Runs as they go, as text that is as wide as its terminal. @param nowMs since 1970 */
export function topText(runs: readonly GoingRun[], nowMs: number, out: Out): string {
  return runs.map((one) => runText(one, nowMs, out)).join("\n\n");
}

function runText({ run, state }: GoingRun, nowMs: number, out: Out): string {
  const { processes, queues } = state;
  const isThere = ({ activity, heard }: ProcessState) => nowMs - msOf(heard) < (activity ? goneMs : endedMs);
  const alive = processes.filter(isThere).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const fitting = (text: string) => cliTruncate(text, columnsOf(out));
  const parts = [styleFor(out).bold(fitting(headline({ run, state })))];
  if (state.pace) parts.push(fitting(paceLine(state.pace)));
  if (alive.length)
    parts.push(
      textTable(
        processColumns,
        alive.map((one) => processRow(one, nowMs, shortNames(alive))),
        out,
      ),
    );
  else parts.push("no process has said anything of late");
  // Few teachers write texts.
  const used = queues.filter(({ role, waiting, inHand }) => role !== "writer" || waiting + inHand > 0n);
  if (used.length) parts.push(textTable(queueColumns, used.map(queueRow(used)), out));
  return parts.join("\n");
}

function headline({ run, state: { pace } }: GoingRun): string {
  const { runId, state, step, totalSteps } = run;
  const left = pace && step < totalSteps && !isOver(state) ? [`ETA ${duration((totalSteps - step) * pace.seconds)}`] : [];
  return [runId, RunState[state].toLowerCase(), `step ${step}/${totalSteps}`, ...left].join(" · ");
}

const paceLine = ({ tokensPerSecond, seconds, stalenessMean, stalenessMax, tasksInFlight }: StepPace): string =>
  [
    `${tokensPerSecond.toFixed(0)} tok/s`,
    `${seconds.toFixed(seconds < 1 ? 2 : 1)} s a step`,
    `stale ${stalenessMean.toFixed(1)} (at most ${stalenessMax})`,
    `${counted(tasksInFlight, "task")} in flight`,
  ].join(" · ");

const nameOf = ({ process }: ProcessState): string => [process?.role, process?.teacher, process?.instance].filter(Boolean).join("/");

/** Names of processes without what they all have: the host, where there is one alone, and the only teacher's name. */
function shortNames(all: readonly ProcessState[]): (one: ProcessState) => string {
  const instances = all.map(({ process }) => process?.instance ?? "");
  const hosts = new Set(instances.map((instance) => instance.split("/").slice(0, -1).join("/")));
  const named = severalTeachers(all.map(({ process }) => ({ teacher: process?.teacher ?? "" })));
  return ({ process }) => {
    const { role = "", teacher = "", instance = "" } = process ?? {};
    const label = teacher && named ? `${role}/${teacher}` : role;
    return `${label} ${hosts.size > 1 ? instance : (instance.split("/").at(-1) ?? "")}`.trimEnd();
  };
}

function processRow(one: ProcessState, nowMs: number, name: (one: ProcessState) => string): string[] {
  const { activity, figures, since, heard } = one;
  const seconds = figures?.seconds ?? 0;
  const per = (value: number, words: (rate: number) => string) => (figures && seconds > 0 ? words(value / seconds) : "–");
  const share = (x: number) => `${Math.round(100 * x)} %`;
  return [
    name(one),
    activity
      ? activityWords(activity.work, activity.message, Number(activity.done), Number(activity.total), nowMs - msOf(since))
      : "has ended",
    per(figures?.workSeconds ?? 0, share),
    per(Number(figures?.tokens ?? 0n), (rate) => rate.toFixed(0)),
    per(figures?.cpuSeconds ?? 0, share),
    memory(figures?.residentBytes, figures?.deviceBytes),
    memory(figures?.peakResidentBytes),
    `${duration(Math.max(0, nowMs - msOf(heard)) / 1000)} ago`,
  ];
}

function activityWords(work: Work, message: string, done: number, total: number, ms: number): string {
  const progress = total > 0 ? ` ${done}/${total}` : "";
  return `${Work[work].toLowerCase()}${message ? ` ${work === Work.WAITING ? "for " : ""}${message}` : ""}${progress} (${duration(Math.max(0, ms) / 1000)})`;
}

/** Of a process with a device, that device's besides. */
function memory(bytes: bigint | undefined, device?: bigint): string {
  if (bytes === undefined) return "–";
  return device === undefined ? bytesInWords(Number(bytes)) : `${bytesInWords(Number(bytes))} + ${bytesInWords(Number(device))}`;
}

/** @param all queues of the run: the only teacher's name says nothing */
const queueRow =
  (all: readonly QueueState[]) =>
  ({ role, teacher, waiting, inHand, redelivered }: QueueState): string[] => [
    [role, severalTeachers(all) && teacher].filter(Boolean).join("/"),
    ...[waiting, inHand, redelivered].map(String),
  ];

const severalTeachers = (all: readonly { readonly teacher?: string }[]): boolean =>
  new Set(all.flatMap(({ teacher }) => teacher || [])).size > 1;

const msOf = (time: Timestamp | undefined): number => (time ? Number(time.seconds) * 1000 + time.nanos / 1e6 : 0);
