/** A client of Retort that uses only its protos: see ../README.md. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const { values: options } = parseArgs({
  options: {
    protos: { type: "string", default: "protos" },
    controller: { type: "string", default: "localhost:7070" },
    teacher: { type: "string", default: "localhost:7071" },
    examples: { type: "string", default: "deploy/examples/num2words" },
    "reward-host": { type: "string", default: "127.0.0.1" },
    token: { type: "string" },
  },
});

const definition = loadSync(
  ["controller", "reward", "teacher"].map((name) => `retort/v1/${name}.proto`),
  { includeDirs: [options.protos], longs: Number, enums: String, defaults: true, oneofs: true },
);
// biome-ignore lint/suspicious/noExplicitAny: the loader makes the classes at run time
const { ControllerService, RewardService, TeacherService } = (grpc.loadPackageDefinition(definition).retort as any).v1;

const metadata = new grpc.Metadata();
if (options.token) metadata.set("authorization", `Bearer ${options.token}`);

/** Calls a unary method. */
// biome-ignore lint/suspicious/noExplicitAny: as above
const call = (client: any, method: string, request: object): Promise<any> =>
  new Promise((resolve, reject) =>
    client[method](request, metadata, { deadline: Date.now() + 60_000 }, (error: Error | null, response: unknown) =>
      error ? reject(error) : resolve(response),
    ),
  );

const print = (value: object) => console.log(JSON.stringify(value));

/** The elements of an Array message of type float32. */
const floats = ({ data }: { data: Buffer }): number[] => Array.from({ length: data.length / 4 }, (_, i) => data.readFloatLE(4 * i));

/** Asks a teacher what it makes of two answers to one prompt. */
async function score(): Promise<void> {
  const teacher = new TeacherService(options.teacher, grpc.credentials.createInsecure());
  const { architecture, vocabSize } = await call(teacher, "describe", {});
  print({ teacher: { architecture, vocabSize } });
  const answers = ["three hundred forty seven", "three hundred forty eight"];
  const { scores } = await call(teacher, "score", {
    sequences: answers.map((text) => ({ prompt: { text: "347=" }, text })),
    signal: { kind: "sampled", k: 0, temperature: 1 },
  });
  answers.forEach((answer, i) => {
    const logprobs = floats(scores[i].logprobs);
    print({ answer, tokens: logprobs.length, logprob: logprobs.reduce((sum, value) => sum + value, 0) });
  });
  teacher.close();
}

interface EvaluateInput {
  readonly completion: string;
  readonly reference: string;
}

/** The reward: the share of the reference's words that the completion has. */
function reward({ completion, reference }: EvaluateInput): number {
  const words = new Set(completion.split(" "));
  const wanted = reference.split(" ");
  return wanted.filter((word) => words.has(word)).length / wanted.length;
}

/** Serves {@link reward} on a free port. */
async function serveReward() {
  let judged = 0;
  const server = new grpc.Server();
  server.addService(RewardService.service, {
    describe: (_: unknown, answer: (error: null, response: object) => void) => answer(null, { kinds: ["words"] }),
    evaluate: ({ request }: { request: { inputs: EvaluateInput[] } }, answer: (error: null, response: object) => void) => {
      judged += request.inputs.length;
      answer(null, { rewards: request.inputs.map((input) => ({ value: reward(input), components: {} })) });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("0.0.0.0:0", grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { address: `${options["reward-host"]}:${port}`, judged: () => judged, stop: () => server.forceShutdown() };
}

/** Starts a run that is rewarded at an address, and follows it to its end. */
async function train(address: string): Promise<string> {
  const controller = new ControllerService(options.controller, grpc.credentials.createInsecure());
  const spec = {
    name: "client-example",
    student: { model: join(options.examples, "models/student") },
    teachers: [{ model: join(options.examples, "models/teacher") }],
    data: { path: join(options.examples, "data/all.jsonl") },
    rewards: [{ kind: "external", address }],
    phases: [
      { preset: "rl_gkd", steps: 3, batchSize: 8, objective: { divergence: "reverse_kl", alpha: 0.5 }, sampling: { maxNewTokens: 32 } },
    ],
  };
  const { run } = await call(controller, "startRun", { spec });
  print({ run: run.runId });
  const events = controller.watchRun({ runId: run.runId }, metadata);
  for await (const { event } of events) {
    if (event.stepFinished) print({ step: event.stepFinished.step, loss: event.stepFinished.loss, reward: event.stepFinished.reward });
    if (event.stateChanged) print({ state: event.stateChanged.state, message: event.stateChanged.message });
  }
  const { run: ended } = await call(controller, "getRun", { runId: run.runId });
  controller.close();
  return ended.state;
}

await score();
const server = await serveReward();
const state = await train(server.address);
print({ ended: state, judged: server.judged() });
server.stop();
process.exitCode = state === "RUN_STATE_SUCCEEDED" ? 0 : 1;
