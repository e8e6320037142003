import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ControllerService } from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { Control, SampleFilter, Source } from "./source.js";

const tokenKey = "retort-token";

/** Keeps the bearer token that a controller asks for, as long as the tab is open. */
export const keepToken = (token: string): void => sessionStorage.setItem(tokenKey, token);

const withToken: Interceptor = (next) => (request) => {
  const token = sessionStorage.getItem(tokenKey);
  if (token) request.header.set("authorization", `Bearer ${token}`);
  return next(request);
};

/** Runs of the controller that serves this page, over gRPC-Web. */
export class ControllerSource implements Source {
  readonly #client: Client<typeof ControllerService>;
  readonly control: Control;

  constructor(baseUrl: string) {
    this.#client = createClient(ControllerService, createGrpcWebTransport({ baseUrl, interceptors: [withToken] }));
    const client = this.#client;
    this.control = {
      pause: async (runId) => void (await client.pauseRun({ runId })),
      resume: async (runId) => void (await client.resumeRun({ runId })),
      stop: async (runId) => void (await client.stopRun({ runId })),
      validate: (spec) => client.validateRun({ spec }),
      start: async (spec) => there((await client.startRun({ spec })).run).runId,
    };
  }

  async runs() {
    return (await this.#client.listRuns({})).runs;
  }

  async run(runId: string) {
    return there((await this.#client.getRun({ runId })).run);
  }

  figures(runId: string, names: readonly string[], maxPoints: number) {
    return this.#client.readFigures({ runId, names: [...names], maxPoints });
  }

  async samples(runId: string, filter: SampleFilter) {
    return (await this.#client.listSamples({ runId, ...filter })).steps;
  }

  async *watch(runId: string, signal: AbortSignal) {
    for await (const { event } of this.#client.watchRun({ runId }, { signal })) if (event) yield event;
  }

  async logs(runId: string) {
    return (await this.#client.readLogs({ runId, maxBytes: 32_768 })).logs;
  }
}

function there(run: Run | undefined): Run {
  if (!run) throw new Error("the controller's answer has no run");
  return run;
}
