// What test/e2e/clients.test.ts runs against a controller by the packed client: node steer.js ADDRESS CONTROLLER_PID MODELS OUT
import { Code, ConnectError, isOver, Retort, RunState } from "@retort/client";

const [address = "", pid, examples, out = ""] = process.argv.slice(2);
const retort = new Retort({ address });
const spec = {
  name: "steered",
  seed: 5,
  student: { model: `${examples}/models/student` },
  teachers: [{ model: `${examples}/models/teacher` }],
  data: { path: `${examples}/data/train.jsonl` },
  phases: [{ preset: "on_policy_kd", steps: 8, batchSize: 8, sampling: { maxNewTokens: 32 } }],
};

const run = await retort.run(spec, { requestId: "steered-1" });
const again = await retort.run(spec, { requestId: "steered-1" });
const codeOf = (error: unknown): string => Code[ConnectError.from(error).code];
const refused = await retort.run({ ...spec, seed: 6 }, { requestId: "steered-1" }).then(() => "", codeOf);
const wrong = await retort.run({ ...spec, student: { model: "/nowhere" } }).catch((error: unknown) => String(error));
const { problems } = await retort.validate({ ...spec, student: { model: "/nowhere" } });

const sequences: string[] = [];
const losses: number[] = [];
let held: RunState | undefined;
for await (const { sequence, event } of retort.watch(run)) {
  sequences.push(String(sequence));
  if (event.case !== "stepFinished") continue;
  losses.push(event.value.loss);
  // The controller dies, and is started again by whoever keeps it.
  if (event.value.step === 2) process.kill(Number(pid), "SIGKILL");
  if (event.value.step !== 4) continue;
  await retort.pause(run);
  while (held !== RunState.PAUSED) held = (await retort.get(run)).state;
  await retort.resume(run);
}
const ended = await retort.wait(run.runId);
const listed: string[] = [];
for await (const one of retort.list({ name: "steered", states: [RunState.SUCCEEDED] })) listed.push(one.runId);
const version = await retort.export(run, out);
const twice = await retort.export(run, out).catch((error: unknown) => String(error));
const left: number[] = [];
for await (const { sequence } of retort.watch(run)) {
  left.push(Number(sequence));
  if (left.length === 2) break;
}
const stranger = await retort.get("nobody").then(() => "", codeOf);
console.log(
  JSON.stringify({
    run: run.runId,
    again: again.runId,
    refused,
    wrong,
    problems: problems.map(({ field }) => field),
    sequences,
    losses,
    ended: RunState[ended.state],
    over: isOver(ended),
    listed,
    version,
    twice,
    left,
    stranger,
  }),
);
