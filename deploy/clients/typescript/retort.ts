import { randomUUID } from "node:crypto";
import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  ControllerService,
  type DeleteRunResponse,
  type Run,
  type RunEvent,
  type RunSpecSchema,
  type RunState,
  type ValidateRunResponse,
} from "@retort/proto";
import { followRun } from "./follow-run.js";
import { retrying } from "./retrying.js";
import { writeWeights } from "./write-weights.js";

/** Where a controller serves, and what it is told of its caller. */
export interface RetortOptions {
  /** Of the controller, host:port. Default: RETORT_CONTROLLER, else localhost:7070. */
  readonly address?: string;
  /** Bearer token. Default: RETORT_TOKEN, else none. */
  readonly token?: string;
  /** PEM. Without it the connection is plaintext; with `{}` the system's authorities are trusted. */
  readonly tls?: { readonly ca?: string | Buffer; readonly cert?: string | Buffer; readonly key?: string | Buffer };
  /** How long a call may take, in milliseconds; watching and exporting may take any time. Default 60000. */
  readonly timeoutMs?: number;
  /** How long a controller may be away before a call fails, in milliseconds. Default: ten minutes. */
  readonly patienceMs?: number;
}

/** A run by its id, or as a method has returned it. */
export type RunName = string | Pick<Run, "runId">;

/** How a run is started. */
export interface RunOptions {
  /** Names the request, so that the same one starts no second run. Default: a random one for each call. */
  readonly requestId?: string;
}

/** How a run is watched. */
export interface WatchOptions {
  /** First event. Default: the run's first. */
  readonly fromSequence?: bigint;
  /** Aborting it ends the events. */
  readonly signal?: AbortSignal;
}

/** Which runs are listed. */
export interface ListFilter {
  readonly states?: readonly RunState[];
  /** Name of the spec. */
  readonly name?: string;
}

/** What is exported, if not the trained student or the newest weights. */
export interface ExportOptions {
  /** A policy version that the run still keeps. */
  readonly version?: number;
  /** The checkpoint with the best evaluation. */
  readonly best?: boolean;
}

/** Runs that a page of {@link Retort.list} has. */
const pageSize = 100;

/**
 * A client of a controller. Every method but `delete` waits for a controller that is away; a failure is a ConnectError with gRPC's
 * code and the server's sentence.
 *
 * @example for await (const { event } of retort.watch(await retort.run(spec))) console.log(event.case);
 */
export class Retort {
  /** Every method of the controller. */
  readonly controller: Client<typeof ControllerService>;
  readonly #options: RetortOptions;
  readonly #patienceMs: number;

  constructor(options: RetortOptions = {}) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? 600_000;
    this.controller = this.connect(ControllerService, options.address ?? process.env.RETORT_CONTROLLER ?? "localhost:7070");
  }

  /** A client of any service, as of a teacher that is served alone, with the same token and TLS. */
  connect<S extends DescService>(service: S, address: string): Client<S> {
    return createClient(service, transportTo(address, this.#options));
  }

  /** Starts a run. The call is repeated while no answer comes, and starts one run. @throws InvalidArgument with all that is wrong */
  async run(spec: MessageInitShape<typeof RunSpecSchema>, { requestId = randomUUID() }: RunOptions = {}): Promise<Run> {
    return there(await this.#retrying(() => this.controller.startRun({ spec, requestId })));
  }

  /** What is wrong with a spec, and what is unusual; nothing is started. */
  validate(spec: MessageInitShape<typeof RunSpecSchema>): Promise<ValidateRunResponse> {
    return this.#retrying(() => this.controller.validateRun({ spec }));
  }

  /** A run's events in order, each once, until it is over; a controller that goes away is waited for. */
  watch(run: RunName, options: WatchOptions = {}): AsyncGenerator<RunEvent, void> {
    return followRun(this.controller, idOf(run), { ...options, patienceMs: this.#patienceMs });
  }

  /** Follows a run to its end. @returns the run as it is then: see its `state` and `message` */
  async wait(run: RunName, options: Pick<WatchOptions, "signal"> = {}): Promise<Run> {
    for await (const _ of this.watch(run, options));
    return this.get(run);
  }

  /** A run as it is now. @throws NotFound */
  async get(run: RunName): Promise<Run> {
    return there(await this.#retrying(() => this.controller.getRun({ runId: idOf(run) })));
  }

  /** Runs, newest first, asked for page by page as they are taken. */
  async *list({ states = [], name = "" }: ListFilter = {}): AsyncGenerator<Run, void> {
    let pageToken = "";
    do {
      const page = await this.#retrying(() => this.controller.listRuns({ states: [...states], name, pageSize, pageToken }));
      yield* page.runs;
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Asks a run to save a checkpoint and hold. */
  async pause(run: RunName): Promise<Run> {
    return there(await this.#retrying(() => this.controller.pauseRun({ runId: idOf(run) })));
  }

  /** Goes on with a run that is paused, or was stopped, or has failed. */
  async resume(run: RunName): Promise<Run> {
    return there(await this.#retrying(() => this.controller.resumeRun({ runId: idOf(run) })));
  }

  /** Asks a run to save a checkpoint and end. @param now ends it at once, without one */
  async stop(run: RunName, { now = false }: { readonly now?: boolean } = {}): Promise<Run> {
    return there(await this.#retrying(() => this.controller.stopRun({ runId: idOf(run), now })));
  }

  /** Removes a run that is over, with all but its trained student. @throws FailedPrecondition while it is going */
  delete(run: RunName): Promise<DeleteRunResponse> {
    return this.controller.deleteRun({ runId: idOf(run) });
  }

  /**
   * Writes a run's student into a directory, which must be empty or not there: the trained one, else the newest weights. The directory
   * appears when all of it is there.
   *
   * @returns the policy version
   */
  export(run: RunName, directory: string, { version, best = false }: ExportOptions = {}): Promise<number> {
    const request = { runId: idOf(run), best, ...(version === undefined ? {} : { version }) };
    return writeWeights(
      () => this.controller.getWeights(request, { timeoutMs: 0 }),
      directory,
      (work) => this.#retrying(work),
    );
  }

  #retrying<T>(work: () => Promise<T>): Promise<T> {
    return retrying(work, this.#patienceMs);
  }
}

const idOf = (run: RunName): string => (typeof run === "string" ? run : run.runId);

function there({ run }: { readonly run?: Run | undefined }): Run {
  if (!run) throw new Error("the controller's answer has no run");
  return run;
}

function transportTo(address: string, { token = process.env.RETORT_TOKEN, tls, timeoutMs = 60_000 }: RetortOptions): Transport {
  const authorize: Interceptor = (next) => (request) => {
    if (token) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createGrpcTransport({
    baseUrl: `${tls ? "https" : "http"}://${address}`,
    interceptors: [authorize],
    defaultTimeoutMs: timeoutMs,
    ...(tls ? { nodeOptions: tls } : {}),
  });
}
