import type { Timestamp } from "@bufbuild/protobuf/wkt";
import cliTruncate from "cli-truncate";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import type { ProcessState, QueueState, ReadProcessesResponse } from "../../shared/gen/retort/v1/controller_pb.js";
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
  { name: "busy", align: "right", rank: 2 },
  { name: "tok/s", align: "right", rank: 3 },
  { name: "CPU", align: "right", rank: 2 },
  { name: "memory", align: "right", rank: 3 },
  { name: "peak", align: "right", rank: 0 },
  { name: "heard", align: "right", rank: 0 },
];
const queueColumns: readonly Column[] = [
  { name: "queue", rank: 3 },
  { name: "waiting", align: "right", rank: 2 },
  { name: "in hand", align: "right", rank: 2 },
  { name: "given again", align: "right", rank: 1 },
];

/** A process that hasn't been heard of for so long is gone: the longest silence of one that lives is a minute in its first day. */
const goneMs = 600_000;

/** Runs as they go, as text that is as wide as its terminal. @param nowMs since 1970 */
export function topText(runs: readonly GoingRun[], nowMs: number, out: Out): string {
  return runs.map((one) => runText(one, nowMs, out)).join("\n\n");
}

function runText({ run, state }: GoingRun, nowMs: number, out: Out): string {
  const { processes, queues } = state;
  const alive = processes.filter(({ heard }) => nowMs - msOf(heard) < goneMs).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const parts = [styleFor(out).bold(cliTruncate(headline({ run, state }), columnsOf(out)))];
  if (alive.length)
    parts.push(
      textTable(
        processColumns,
        alive.map((one) => processRow(one, nowMs)),
        out,
      ),
    );
  else parts.push("no process has said anything of late");
  if (queues.length) parts.push(textTable(queueColumns, queues.map(queueRow), out));
  return parts.join("\n");
}

function headline({ run, state: { pace } }: GoingRun): string {
  const { runId, state, step, totalSteps } = run;
  const figures = pace
    ? [
        `${pace.tokensPerSecond.toFixed(0)} tok/s`,
        `${pace.seconds.toFixed(1)} s a step`,
        `stale ${pace.stalenessMean.toFixed(1)} (at most ${pace.stalenessMax})`,
        `${pace.tasksInFlight} tasks in flight`,
        ...(step < totalSteps ? [`ETA ${duration((totalSteps - step) * pace.seconds)}`] : []),
      ]
    : [];
  return [runId, RunState[state].toLowerCase(), `step ${step}/${totalSteps}`, ...figures].join(" · ");
}

const nameOf = ({ process }: ProcessState): string => [process?.role, process?.teacher, process?.instance].filter(Boolean).join("/");

function processRow({ process, activity, figures, since, heard }: ProcessState, nowMs: number): string[] {
  const seconds = figures?.seconds ?? 0;
  const per = (value: number, words: (rate: number) => string) => (figures && seconds > 0 ? words(value / seconds) : "–");
  const share = (x: number) => `${Math.round(100 * x)} %`;
  return [
    nameOf({ process } as ProcessState),
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

const queueRow = ({ role, teacher, waiting, inHand, redelivered }: QueueState): string[] => [
  [role, teacher].filter(Boolean).join("/"),
  ...[waiting, inHand, redelivered].map(String),
];

const msOf = (time: Timestamp | undefined): number => (time ? Number(time.seconds) * 1000 + time.nanos / 1e6 : 0);
