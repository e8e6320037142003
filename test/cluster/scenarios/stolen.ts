import { type ChildProcess, spawn } from "node:child_process";
import { AuthorizationError, connect, type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { inboxOf } from "../../../services/shared/base/nats-users.js";
import { durables } from "../../../services/shared/flow/streams.js";
import { freePort } from "../../support/tools/free-port.js";
import { until } from "../support/commands.js";
import type { Installation } from "../support/installation.js";
import { check, say } from "../support/say.js";

/** What the learner and the controller of a run do in NATS, and the other roles: none of it is a student's part. */
const acts = (run: string): Readonly<Record<string, readonly string[]>> => ({
  "issue prompts": [`retort.prompts.${run}.student.9.0`],
  "say what became of samples": [`retort.ledger.${run}.1.9`],
  "tell of steps, checkpoints and ends": ["stepFinished", "checkpointSaved", "stateChanged", "warning"].map(
    (kind) => `retort.events.${run}.${kind}`,
  ),
  "change a run, or make one": [`$KV.retort_runs.${run}`, "$KV.retort_runs.mine"],
  "pause or stop a run": [`$KV.retort_runs.${run}.control`],
  "announce weights, and store them": [`$KV.retort_runs.${run}.policy`, `$O.retort_weights_${run}.C.x`, `$O.retort_weights_${run}.M.x`],
  "score and reward": [`retort.results.${run}.1.9.0.score`, `retort.results.${run}.1.9.0.reward`],
  "register as another role": [`$KV.retort_roles.${run}.teacher.x`, `$KV.retort_roles.${run}.learner.x`],
  "read results and rewards": ["$JS.API.CONSUMER.CREATE.RETORT_RESULTS.mine", "$JS.API.DIRECT.GET.RETORT_RESULTS"],
  "read events and the ledger": ["$JS.API.CONSUMER.CREATE.RETORT_EVENTS.mine", "$JS.API.STREAM.MSG.GET.RETORT_LEDGER"],
  "read what is kept aside": ["$JS.API.STREAM.MSG.GET.KV_retort_aside"],
  "take what is for teachers and rewards": [`$JS.API.CONSUMER.MSG.NEXT.RETORT_ROLLOUTS.${durables.reward(run)}`],
  "make or remove consumers": [
    `$JS.API.CONSUMER.DURABLE.CREATE.RETORT_PROMPTS.mine`,
    `$JS.API.CONSUMER.DELETE.RETORT_PROMPTS.${durables.student(run)}`,
  ],
  "make, change, purge, copy or remove streams": [
    ...["CREATE.MINE", "UPDATE.RETORT_RESULTS", "PURGE.RETORT_PROMPTS", "MSG.DELETE.RETORT_RESULTS", "DELETE.KV_retort_runs"],
    ...["SNAPSHOT.RETORT_EVENTS", "RESTORE.RETORT_EVENTS"],
  ].map((act) => `$JS.API.STREAM.${act}`),
});

/** What it may hear is its own inbox. */
const places = [">", "retort.>", "$KV.>", "$JS.>", "_INBOX.>", "_INBOX_learner.>", "_INBOX_controller.>"];

/** What a pod of a role could ask Kubernetes for, with its service account. */
const rights = [
  "get secrets",
  "list secrets",
  "get configmaps",
  "list pods",
  "create pods",
  "create pods/exec",
  "delete jobs",
  "patch deployments",
];

/** Somebody has the password of a run's students: it opens nothing but a student's part. */
export async function stolen(installation: Installation, run: string): Promise<void> {
  const { kubectl } = installation;
  const secret = await kubectl.run("get", "secret", "retort-nats-logins", "-o", "jsonpath={.data.student}");
  const pass = Buffer.from(secret, "base64").toString();
  const port = await freePort();
  const forward = spawn("kubectl", ["-n", kubectl.namespace, "port-forward", "service/retort-nats", `${port}:4222`], { stdio: "ignore" });
  try {
    const nats = await connected(port, pass, forward);
    try {
      check("stolen: the password lets a client in, as a student", (await may(nats, `$JS.API.STREAM.INFO.KV_retort_runs`)) === "allowed");
      for (const [act, subjects] of Object.entries(acts(run)))
        for (const subject of subjects) if ((await may(nats, subject)) === "allowed") throw new Error(`a student can ${act}: ${subject}`);
      check(`stolen: it can't ${Object.keys(acts(run)).join("; ")}`, true);
      for (const place of places) if ((await hears(nats, place)) === "allowed") throw new Error(`a student can listen to ${place}`);
      check("stolen: it hears nothing but answers to itself", true);
    } finally {
      await nats.close();
    }
    for (const user of ["controller", "learner", "teacher", "reward"]) {
      const error = await connect({ servers: `127.0.0.1:${port}`, user, pass, reconnect: false }).catch((thrown: unknown) => thrown);
      if (!(error instanceof AuthorizationError)) throw new Error(`a student's password lets in the ${user}`);
    }
    check("stolen: it opens no other role's door", true);
  } finally {
    forward.kill();
  }
  const account = `--as=system:serviceaccount:${kubectl.namespace}:retort-role`;
  for (const right of rights) {
    const answer = await kubectl.run("auth", "can-i", ...right.split(" "), account).catch(() => "no");
    if (answer !== "no") throw new Error(`the service account of roles can ${right}`);
  }
  check("stolen: the service account of a role may ask Kubernetes for nothing", true);
  say(`stolen: ${run} goes on`);
}

async function connected(port: number, pass: string, forward: ChildProcess): Promise<NatsConnection> {
  const look = () =>
    connect({ servers: `127.0.0.1:${port}`, user: "student", pass, inboxPrefix: inboxOf("student"), reconnect: false }).catch(
      (error: Error) => {
        if (forward.exitCode !== null) throw new Error("the port-forward to NATS ended");
        return error.message;
      },
    );
  return (await until("NATS answers", look, (seen) => typeof seen !== "string", 60_000)) as NatsConnection;
}

/** Whether the server takes a message on a subject, whatever it makes of it. */
async function may(nats: NatsConnection, subject: string): Promise<"allowed" | "refused"> {
  try {
    await nats.request(subject, subject.includes("MSG.NEXT") ? '{"no_wait":true}' : "{}", { timeout: 20_000 });
    return "allowed";
  } catch (error) {
    return [error, (error as Error).cause].some((one) => one instanceof PermissionViolationError) ? "refused" : "allowed";
  }
}

/** Whether the server lets a client listen to a subject. */
async function hears(nats: NatsConnection, subject: string): Promise<"allowed" | "refused"> {
  let refused = false;
  const subscription = nats.subscribe(subject, {
    callback: (error) => {
      refused ||= error instanceof PermissionViolationError;
    },
  });
  // The server answers in order: what it thinks of the subscription comes before this.
  await nats.flush();
  subscription.unsubscribe();
  return refused ? "refused" : "allowed";
}
