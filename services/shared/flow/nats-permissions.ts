import { inboxOf, type NatsPermissions, type NatsUsers } from "../base/nats-users.js";
import { streamNames } from "./streams.js";

const api = "$JS.API";

/** Streams of what must not be read by way of a right that is meant for the buckets of weights, whose names hold a run's id. */
const closed = [...Object.values(streamNames), "KV_retort_aside", "KV_retort_roles"];

/** Reads a bucket's newest values. */
const look = (bucket: string): string[] => [
  `${api}.STREAM.INFO.KV_${bucket}`,
  `${api}.DIRECT.GET.KV_${bucket}.>`,
  `${api}.STREAM.MSG.GET.KV_${bucket}`,
];

/** Takes records from a stream's durable consumers, which the controller has made. */
const take = (stream: string): string[] => [
  `${api}.CONSUMER.INFO.${stream}.*`,
  `${api}.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.ACK.${stream}.>`,
];

/** Reads a stream by consumers of its own, which live in the server's memory. `*`: every stream that is not denied. */
const follow = (stream: string): string[] => [
  `${api}.STREAM.INFO.${stream}`,
  `${api}.CONSUMER.CREATE.${stream}`,
  `${api}.CONSUMER.CREATE.${stream}.>`,
  `${api}.CONSUMER.INFO.${stream}.*`,
  `${api}.CONSUMER.MSG.NEXT.${stream}.*`,
  `${api}.CONSUMER.DELETE.${stream}.*`,
  `$JS.ACK.${stream}.>`,
];

/** What keeps {@link follow} of every stream from being a right to the closed ones. */
const notClosed = (except: readonly string[]): string[] =>
  closed.flatMap((stream) => [
    ...["CREATE", "DURABLE.CREATE", "DELETE"].map((verb) => `${api}.CONSUMER.${verb}.${stream}.>`),
    `${api}.CONSUMER.CREATE.${stream}`,
    `${api}.DIRECT.GET.${stream}`,
    `${api}.DIRECT.GET.${stream}.>`,
    ...(except.includes(stream) ? [] : [`${api}.CONSUMER.MSG.NEXT.${stream}.>`, `$JS.ACK.${stream}.>`]),
    ...(stream === streamNames.results && except.length > 0 ? [] : [`${api}.STREAM.MSG.GET.${stream}`]),
  ]);

/** Reads the weights of every run. */
const readWeights = [...follow("*"), `${api}.DIRECT.GET.*.>`, `${api}.STREAM.MSG.GET.*`, "$JS.FC.>"];

/** Tells what it does and what it uses. */
const tellOfItself = ["retort.events.*.activity", "retort.events.*.processFigures"];

/** What every role of a run may: find its run, say that it serves it and what it does, and wait for answers. */
const member = (role: string, own: readonly string[], deny: readonly string[] = []): NatsPermissions => ({
  publish: {
    allow: [
      ...[`${api}.INFO`, ...look("retort_runs"), `${api}.STREAM.INFO.KV_retort_roles`, `$KV.retort_roles.*.${role}.>`],
      ...tellOfItself,
      ...own,
    ],
    ...(deny.length > 0 ? { deny } : {}),
  },
  subscribe: { allow: [`${inboxOf(role)}.>`] },
});

/** Tells how its model is held. */
const describeModel = "retort.events.*.modelOpened";

/** The record of a task's completions: its result, read again where it was there already, and what teachers and rewards take. */
const writeRollouts = ["retort.rollouts.>", `${api}.STREAM.MSG.GET.${streamNames.results}`];

/** Writes what the learner alone says of a run, and takes away what is done with. Streams and buckets it may not delete. */
const learner: NatsPermissions = {
  publish: {
    allow: [
      ...["retort.>", "$KV.retort_runs.>", "$KV.retort_roles.*.learner.>", "$O.>"],
      ...[`${api}.INFO`, `${api}.STREAM.>`, `${api}.DIRECT.GET.>`, `${api}.CONSUMER.>`, "$JS.ACK.>", "$JS.FC.>"],
    ],
    deny: [
      ...[...closed, "KV_retort_runs"].map((stream) => `${api}.STREAM.DELETE.${stream}`),
      ...["SNAPSHOT", "RESTORE"].map((verb) => `${api}.STREAM.${verb}.>`),
      `${api}.STREAM.PURGE.${streamNames.ledger}`,
      `${api}.STREAM.PURGE.${streamNames.events}`,
    ],
  },
  subscribe: { allow: [`${inboxOf("learner")}.>`, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"] },
};

/**
 * What each role may do in NATS. A student takes prompts and writes completions, a teacher takes completions and writes
 * scores (or takes prompts of its own and writes texts), a reward takes completions and writes rewards; of runs and weights they
 * only read. They can't speak for the learner or the controller, or for each other.
 */
export const natsPermissions = {
  controller: { publish: { allow: [">"] }, subscribe: { allow: [">"] } },
  learner,
  reward: member("reward", [...take(streamNames.rollouts), "retort.results.*.*.*.*.reward"]),
  student: member(
    "student",
    [
      ...take(streamNames.prompts),
      ...follow("KV_retort_runs"),
      ...writeRollouts,
      "retort.results.*.*.*.*.rollout",
      describeModel,
      ...readWeights,
    ],
    notClosed([streamNames.prompts]),
  ),
  teacher: member(
    "teacher",
    [
      ...take(streamNames.rollouts),
      ...take(streamNames.prompts),
      // Which runs join a pool and leave it, and which versions there are of a student that it follows.
      ...follow("KV_retort_runs"),
      ...writeRollouts,
      "retort.results.*.*.*.*.score",
      describeModel,
      // Texts that it writes itself, for a dataset.
      "retort.results.*.kept.*.*.rollout",
      ...readWeights,
    ],
    notClosed([streamNames.prompts, streamNames.rollouts]),
  ),
} as const satisfies NatsUsers;
