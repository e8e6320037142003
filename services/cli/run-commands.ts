import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { RetortError } from "../shared/base/errors.js";
import type { ClientOptions } from "../shared/base/rpc/client.js";
import { type ControllerClient, connectController, startLocal } from "./local.js";
import { checkSucceeded, readSpec, runJson, runRow, watchRun } from "./runs.js";
import { tableOf } from "./table.js";

interface ControllerOptions {
  readonly controller?: string;
  readonly dataDir: string;
  readonly token?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

function print(program: Command, value: unknown, text: string): void {
  if (program.opts().json) console.log(JSON.stringify(value));
  else if (text) console.log(text);
}

/** Adds the commands that talk to a controller. */
export function addRunCommands(program: Command): void {
  const command = (usage: string, description: string) =>
    program
      .command(usage)
      .description(description)
      .option("--controller <host:port>", "the controller (default: RETORT_CONTROLLER, else the one that `retort up` started)")
      .option("--token <token>", "bearer token (default: RETORT_TOKEN)")
      .option("--tls-ca <file>", "authority (PEM) of the controller's certificate; without it the connection is plaintext")
      .option("--tls-cert <file>", "own certificate (PEM), for a controller that asks for one")
      .option("--tls-key <file>", "own key (PEM)")
      .option("--data-dir <dir>", "directory of `retort up`", ".retort");
  addUp(program);
  command("run <spec>", "start a run from a YAML spec and watch it")
    .option("--detach", "start it and return")
    .action(async (path: string, options: ControllerOptions & { detach?: boolean }) => {
      const spec = await readSpec(path);
      await withController(options, async (controller) => {
        const { warnings } = await controller.validateRun({ spec });
        for (const { field, message } of warnings) console.error(`warning: ${field}: ${message}`);
        const { run } = await controller.startRun({ spec });
        console.error(`run ${run!.runId}`);
        if (options.detach) return print(program, runJson(run!), run!.runId);
        await watch(program, controller, run!.runId);
      });
    });
  command("watch <run>", "follow a run; Ctrl-C detaches").action((runId: string, options: ControllerOptions) =>
    withController(options, (controller) => watch(program, controller, runId)),
  );
  command("runs", "list runs, newest first").action((options: ControllerOptions) =>
    withController(options, async (controller) => {
      const { runs } = await controller.listRuns({});
      print(program, runs.map(runJson), tableOf(["run", "state", "step", "started", ""], runs.map(runRow), process.stdout));
    }),
  );
  for (const [name, description, method] of [
    ["pause", "save a checkpoint and wait", "pauseRun"],
    ["resume", "go on with a paused run, or with a stopped or failed one from its checkpoint", "resumeRun"],
    ["stop", "save a checkpoint and end a run", "stopRun"],
  ] as const) {
    command(`${name} <run>`, description).action((runId: string, options: ControllerOptions) =>
      withController(options, async (controller) => {
        const { run } = await controller[method]({ runId });
        print(program, runJson(run!), `${runId}: ${name} asked for`);
      }),
    );
  }
  command("validate <spec>", "check a spec without starting it").action((path: string, options: ControllerOptions) =>
    withController(options, async (controller) => {
      const { problems, warnings } = await controller.validateRun({ spec: await readSpec(path) });
      if (problems.length)
        throw RetortError.ofProblems(
          path,
          problems.map(({ field, message }) => ({ fieldPath: field, description: message })),
        );
      print(
        program,
        { problems, warnings },
        `${path} can run${warnings.map(({ field, message }) => `\nwarning: ${field}: ${message}`).join("")}`,
      );
    }),
  );
  command("weights <run> <dir>", "fetch the newest weights of a run, or the trained student").action(
    (runId: string, directory: string, options: ControllerOptions) =>
      withController(options, async (controller) =>
        print(program, await fetchWeights(controller, runId, directory), `saved in ${directory}`),
      ),
  );
}

function addUp(program: Command): void {
  program
    .command("up")
    .description("run NATS and the controller on this machine until Ctrl-C")
    .option("--port <port>", "gRPC port of the controller", "7070")
    .option("--nats-port <port>", "port of nats-server; 0 takes a free one", "0")
    .option("--data-dir <dir>", "directory for streams, runs and weights", ".retort")
    .action(async ({ port, natsPort, dataDir }: Record<"port" | "natsPort" | "dataDir", string>) => {
      const service = await startLocal({
        dataDir: resolve(dataDir),
        port: Number(port),
        natsPort: Number(natsPort),
        progress: (sentence) => console.error(sentence),
      });
      print(
        program,
        { controller: service.address, nats: service.nats },
        `controller ${service.address}, NATS ${service.nats}; start a run with: retort run SPEC.yaml`,
      );
      const interrupted = new Promise<undefined>((done) => {
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => done(undefined));
      });
      const failure = await Promise.race([interrupted, service.ended]);
      console.error("stopping …");
      await service.stop();
      if (failure) throw failure;
      process.exit(0);
    });
}

async function withController(options: ControllerOptions, work: (controller: ControllerClient) => Promise<void>): Promise<void> {
  const started = await readFile(join(options.dataDir, "address"), "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
  const address = options.controller ?? process.env.RETORT_CONTROLLER ?? started;
  if (!address)
    throw new RetortError(
      "FailedPrecondition",
      "no controller is known: start one with `retort up` in another terminal, or give --controller host:port",
    );
  const controller = connectController(address, { token: options.token ?? process.env.RETORT_TOKEN, tls: await readTls(options) });
  try {
    await work(controller);
  } finally {
    controller.close();
  }
}

/** The PEM files of the TLS options; undefined where the connection is to be plaintext. */
async function readTls({ tlsCa, tlsCert, tlsKey }: ControllerOptions): Promise<ClientOptions["tls"]> {
  if (!tlsCert !== !tlsKey) throw new RetortError("InvalidArgument", "--tls-cert and --tls-key belong together; give both");
  if (!tlsCa && tlsCert)
    throw new RetortError("InvalidArgument", "--tls-cert needs --tls-ca, the authority of the controller's certificate");
  if (!tlsCa) return undefined;
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      throw new RetortError("NotFound", `${path} cannot be read (${error.code}); give a PEM file`);
    });
  return { ca: await read(tlsCa), ...(tlsCert && tlsKey ? { cert: await read(tlsCert), key: await read(tlsKey) } : {}) };
}

async function watch(program: Command, controller: ControllerClient, runId: string): Promise<void> {
  const detach = new AbortController();
  process.once("SIGINT", () => {
    console.error(`\ndetached; the run goes on. Follow it again: retort watch ${runId}`);
    detach.abort();
  });
  const { run, evaluations } = await watchRun(controller, runId, detach.signal);
  if (detach.signal.aborted) return;
  const last = evaluations.at(-1);
  print(
    program,
    {
      run: runJson(run),
      evaluations: evaluations.map(({ version, greedy, sampled, reverseKl, teacherNll }) => ({
        version,
        greedy,
        sampled,
        reverseKl,
        teacherNll,
      })),
    },
    run.output ? `trained student: ${run.output}` : (last?.metric ?? ""),
  );
  checkSucceeded(run);
}

async function fetchWeights(controller: ControllerClient, runId: string, directory: string): Promise<{ version: number; files: string[] }> {
  await mkdir(directory, { recursive: true });
  const files = new Map<string, Uint8Array[]>();
  let version = 0;
  for await (const { part } of controller.getWeights({ runId })) {
    if (part.case === "manifest") version = part.value.version;
    if (part.case === "chunk") files.set(part.value.name, [...(files.get(part.value.name) ?? []), part.value.data]);
  }
  for (const [name, chunks] of files) await writeFile(join(directory, name), Buffer.concat(chunks));
  return { version, files: [...files.keys()] };
}
