import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { ControllerService } from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { Login } from "./login.js";
import type { Control, RunFilter, SampleFilter, Source } from "./source.js";

/** Runs of a page of the list. */
const pageSize = 50;

/** Shows the token of a login with every call, and tells it when the controller wants another. */
const asks =
  (login: Login): Interceptor =>
  (next) =>
  async (request) => {
    const { token } = login;
    if (token) request.header.set("authorization", `Bearer ${token}`);
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unauthenticated) login.refused(token);
      throw error;
    }
  };

/** Runs of the controller that serves this page, over gRPC-Web. */
export class ControllerSource implements Source {
  readonly #client: Client<typeof ControllerService>;
  readonly login = new Login(sessionStorage);
  readonly control: Control;

  constructor(baseUrl: string) {
    this.#client = createClient(ControllerService, createGrpcWebTransport({ baseUrl, interceptors: [asks(this.login)] }));
    const client = this.#client;
    this.control = {
      pause: async (runId) => void (await client.pauseRun({ runId })),
      resume: async (runId) => void (await client.resumeRun({ runId })),
      stop: async (runId) => void (await client.stopRun({ runId })),
      validate: (spec) => client.validateRun({ spec }),
      start: async (spec, requestId) => there((await client.startRun({ spec, requestId })).run).runId,
    };
  }

  async runs({ search, state, page }: RunFilter) {
    const { runs, nextPageToken } = await this.#client.listRuns({ search, states: state ? [state] : [], pageSize, pageToken: page });
    return { runs, next: nextPageToken };
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
