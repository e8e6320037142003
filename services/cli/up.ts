import { createServer } from "node:net";
import { resolve } from "node:path";
import type { Command } from "commander";
import { redactUrl } from "../shared/base/redact-url.js";
import { addCommand, print, wholeNumber } from "./command.js";
import { noteController } from "./known-controllers.js";
import { startLocal } from "./local.js";
import { supervisor } from "./supervise.js";

interface UpOptions {
  readonly port: number;
  readonly httpPort?: number;
  readonly natsPort: number;
  readonly dataDir: string;
  readonly force?: boolean;
  readonly tenants?: string;
}

/** Adds `retort up`. */
export function addUp(program: Command): void {
  addCommand(program, "Start here:", "up", "run NATS and the controller on this machine, until Ctrl-C", [
    ["up", "state goes to .retort/ and is found again by the next up"],
    ["up --port 0 --data-dir /tmp/r", "a second one beside it: any free ports, its own directory"],
    ["up --json", "the addresses as JSON, once they serve"],
  ])
    .option("--port <port>", "gRPC port of the controller; 0 takes a free one", wholeNumber(0, 65535), 7070)
    .option(
      "--http-port <port>",
      "port of the live page; 0 takes a free one (default: 7080 if it is free, and --port isn't 0)",
      wholeNumber(0, 65535),
    )
    .option("--nats-port <port>", "port of nats-server; 0 takes a free one", wholeNumber(0, 65535), 0)
    .option("--data-dir <dir>", "directory for streams, runs and weights", ".retort")
    .option("--tenants <file>", "YAML file with those who share the controller: each one's token, scope and quota; RETORT_TOKEN is yours")
    .option("--force", "use a data directory that holds other files; they stay")
    .action((options: UpOptions) => up(program, options));
}

/** Where the live page is, unless that is taken. */
const usualPage = 7080;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

async function up(program: Command, { dataDir, httpPort, tenants, ...options }: UpOptions): Promise<void> {
  const page = httpPort ?? (options.port !== 0 && (await isFree(usualPage)) ? usualPage : 0);
  const service = await startLocal({
    ...options,
    httpPort: page,
    dataDir: resolve(dataDir),
    tenants: tenants && resolve(tenants),
    progress: (sentence) => console.error(sentence),
  });
  const forget = await noteController({ address: service.address, page: service.page, dataDir: resolve(dataDir), pid: process.pid }).catch(
    (error: Error) => {
      console.error(`commands in other directories will need --controller ${service.address}: ${error.message}`);
      return () => {};
    },
  );
  supervisor.add({ stop: async () => forget(), kill: () => forget() });
  print(
    program,
    { controller: service.address, page: service.page, nats: redactUrl(service.nats) },
    `see runs at ${service.page}\ncontroller ${service.address}, NATS ${redactUrl(service.nats)}; start a run with: retort run SPEC.yaml`,
  );
  const failure = await service.ended;
  forget();
  await service.stop();
  throw failure;
}
