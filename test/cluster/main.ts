import { randomBytes } from "node:crypto";
import type { RunEvent } from "../../services/shared/gen/retort/v1/events_pb.js";
import { drained } from "./scenarios/drained.js";
import { fetched } from "./scenarios/fetched.js";
import { lostVolume } from "./scenarios/lost-volume.js";
import { stolen } from "./scenarios/stolen.js";
import { shell, until } from "./support/commands.js";
import { footprint } from "./support/footprint.js";
import { buildImages } from "./support/images.js";
import { Installation } from "./support/installation.js";
import { begin, execute, fetchedDigests, gone, storedDigest, succeeded, type Watched } from "./support/runs.js";
import { check, say, seconds } from "./support/say.js";

/**
 * The proof on a real cluster: image, chart, runs over gRPC, disturbances, and nothing left. Takes the cluster of KUBECONFIG
 * and, in RETORT_IMAGE_LOAD, the command that brings local images into it, their names appended:
 *
 *     RETORT_IMAGE_LOAD="kind load docker-image" npm run test:cluster
 *
 * RETORT_CLUSTER_ONLY names scenarios (warm, sharing, disturbed, held, fetched, drained, lost, stolen), separated by commas, where not all are wanted.
 * RETORT_IMAGE_TAG names images that an earlier test has built and brought there, to be used again.
 * RETORT_STORAGE_CLASS names a storage class other than the default, RETORT_DOCKER a docker other than the PATH's,
 * RETORT_IMAGE_BASE a base image with node, RETORT_IMAGE_NETWORK the network of the build.
 */
const steps = 20;
const only = process.env.RETORT_CLUSTER_ONLY?.split(",");
const chosen = (scenario: string): boolean => only?.includes(scenario) ?? true;
/** A run without disturbances: it ends, its weights come over gRPC as they are, and its pods go. */
async function undisturbed(installation: Installation, name: string): Promise<{ watched: Watched; digest: string }> {
  const watched = await execute(installation, name, steps);
  succeeded(watched);
  const { run, firstStepMs, endMs } = watched;
  say(`${name}: first trained step after ${seconds(firstStepMs)} s, end after ${seconds(endMs)} s`);
  const digest = (await fetchedDigests(installation, run.runId)).get("model.safetensors");
  check(`${name}: the weights fetched over gRPC are those that the learner stored`, digest === (await storedDigest(installation, run)));
  await gone(installation, run.runId);
  check(`${name}: nothing of it runs any more`, true);
  return { watched, digest: digest! };
}

/** Two runs side by side that share a teacher: one Deployment scores for both, and goes once they are over. */
async function sharing(installation: Installation, expected: string): Promise<void> {
  const { kubectl } = installation;
  const teacher = "model: models/teacher, shared: { keepWarmSeconds: 20 }";
  const pools = () => kubectl.names("deployments,pods", "retort/pool");
  const seen: string[][] = [];
  const looking: Promise<void>[] = [];
  const onEvent = ({ event }: RunEvent) => {
    if (event.case !== "stepFinished" || event.value.step !== 5) return;
    looking.push(pools().then((names) => void seen.push(names)));
  };
  const both = await Promise.all(["sharing", "shared"].map((name) => execute(installation, name, steps, onEvent, teacher)));
  await Promise.all(looking);
  for (const watched of both) succeeded(watched);
  const [names = []] = seen;
  check("sharing: one Deployment with one pod is the teacher of both", names.length === 2, names.join(", "));
  const teachers = await kubectl.names("pods", "app.kubernetes.io/component=teacher,retort/run");
  check("sharing: neither has a teacher of its own", teachers.length === 0, teachers.join(", "));
  for (const { run } of both) {
    const digest = (await fetchedDigests(installation, run.runId)).get("model.safetensors");
    check(`sharing: the weights of ${run.runId} are those of a run with its own teacher`, digest === expected);
    await gone(installation, run.runId);
  }
  await until("the shared teacher goes", pools, (left) => left.length === 0, 120_000);
  check("sharing: the shared teacher goes once no run has used it for a while", true);
}

/** A run that loses a pod of every role and its controller: each at a step of its own. */
async function disturbed(installation: Installation, expected: string): Promise<void> {
  const { kubectl } = installation;
  const lose = async (role: string, runId: string) => {
    const selector = `retort/run=${runId},app.kubernetes.io/component=${role}`;
    const pods = await kubectl.names("pods", selector);
    await kubectl.run("delete", "--wait=false", ...pods);
    say(`disturbed: deleted ${pods.join(", ")}`);
  };
  const upgrade = async () => {
    await installation.upgrade("controller.settings.logLevel=debug");
    say("disturbed: upgraded the release; a new controller has taken over");
  };
  const evict = async (role: string, runId: string) => {
    const pods = await kubectl.names("pods", `retort/run=${runId},app.kubernetes.io/component=${role}`);
    if (pods.length === 0) throw new Error(`there is no ${role} to evict`);
    for (const pod of pods) await kubectl.evict(pod);
    say(`disturbed: evicted ${pods.join(", ")}, as a drained node does`);
  };
  const acts = new Map<number, (runId: string) => Promise<void>>([
    [3, (runId) => lose("student", runId)],
    [6, (runId) => lose("teacher", runId)],
    [9, (runId) => lose("reward", runId)],
    [12, (runId) => lose("learner", runId)],
    [14, (runId) => evict("student", runId)],
    [15, upgrade],
  ]);
  const acting: Promise<void>[] = [];
  const onEvent = ({ event }: RunEvent, runId: string) => {
    if (event.case !== "stepFinished") return;
    const act = acts.get(event.value.step);
    acts.delete(event.value.step);
    if (act) acting.push(act(runId));
  };
  const watched = await execute(installation, "disturbed", steps, onEvent);
  await Promise.all(acting);
  succeeded(watched);
  check("disturbed: it lost a pod of every role and its controller, and succeeded", acts.size === 0);
  check("disturbed: a second learner took it over", watched.run.fence > 1n, `fence ${watched.run.fence}`);
  const digest = (await fetchedDigests(installation, watched.run.runId)).get("model.safetensors");
  check("disturbed: its weights are, bit for bit, those of the undisturbed runs", digest === expected, `${digest} ${expected}`);
  await gone(installation, watched.run.runId);
  check("disturbed: nothing of it runs any more", true);
}

/** A run that is paused in the middle: no pod of it is left, and its weights are those of one that wasn't. */
async function held(installation: Installation, expected: string): Promise<void> {
  const { kubectl, controller } = installation;
  const acting: Promise<unknown>[] = [];
  const hold = async (runId: string) => {
    await controller.pauseRun({ runId });
    await until(
      "the run has no pods",
      () => kubectl.names("pods", `retort/run=${runId}`),
      (left) => left.length === 0,
      120_000,
    );
    check("held: while it is paused it has no pod", true);
    await controller.resumeRun({ runId });
  };
  let asked = false;
  const watched = await execute(installation, "held", steps, ({ event }, runId) => {
    if (event.case !== "stepFinished" || event.value.step !== 7 || asked) return;
    asked = true;
    acting.push(hold(runId));
  });
  await Promise.all(acting);
  succeeded(watched);
  const digest = (await fetchedDigests(installation, watched.run.runId)).get("model.safetensors");
  check("held: its weights are, bit for bit, those of the undisturbed runs", digest === expected, `${digest} ${expected}`);
  await gone(installation, watched.run.runId);
}

async function idle(namespace: string): Promise<void> {
  const pods = await footprint(namespace);
  say(`idle: ${pods.size} pods, ${[...pods].map(([name, mebibytes]) => `${name} ${mebibytes} MiB`).join(", ")}`);
  check("idle: only the controller and NATS run", pods.size === 2);
}

async function main(): Promise<void> {
  const load = process.env.RETORT_IMAGE_LOAD;
  if (!load)
    throw new Error('RETORT_IMAGE_LOAD must say how images come into the cluster: "kind load docker-image", "k3d image import", …');
  // A letter first: Helm takes digits for a number, which no tag may be.
  const id = `t${randomBytes(3).toString("hex")}`;
  const kept = process.env.RETORT_IMAGE_TAG;
  const images = kept ? { retort: `retort:${kept}`, nats: `retort-nats:${kept}` } : await buildImages(id);
  if (!kept) await shell(`${load} ${images.retort} ${images.nats} >&2`);
  say(kept ? `the images are those of the tag ${kept}` : "the images are built and in the cluster");
  const namespace = `retort-test-${id}`;
  const installation = await Installation.install(namespace, images);
  say(`installed into ${namespace}`);
  try {
    const cold = await undisturbed(installation, "cold");
    await idle(namespace);
    if (chosen("warm")) {
      const warm = await undisturbed(installation, "warm");
      check("the same seed gives the same weights", cold.digest === warm.digest);
    }
    if (chosen("sharing")) await sharing(installation, cold.digest);
    if (chosen("disturbed")) await disturbed(installation, cold.digest);
    if (chosen("held")) await held(installation, cold.digest);
    if (chosen("fetched")) await fetched(installation, images, steps, cold.digest);
    if (chosen("drained")) await drained(installation, steps, cold.digest);
    if (chosen("lost")) await lostVolume(installation, steps, cold.digest);
    await idle(namespace);
    await installation.test();
    check("helm test passes", true);
    const going = await begin(installation, "going");
    if (chosen("stolen")) await stolen(installation, going);
    say(`${going} trains; uninstalling`);
    const left = await installation.uninstall();
    check("helm uninstall leaves nothing, of the run that was going neither", left.length === 0);
  } finally {
    await installation.remove();
  }
}

main().then(
  () => say("all of it holds"),
  (error: Error) => {
    console.error(`test:cluster: ${error.message}`);
    process.exit(1);
  },
);
