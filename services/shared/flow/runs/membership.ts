import { hostname } from "node:os";
import { RetortError } from "../../base/errors.js";
import type { Service } from "../../base/lifecycle.js";
import type { RoleContext } from "../../base/role.js";
import { checkMessage } from "../../base/rpc/check-message.js";
import type { MemberSettings } from "../../base/settings.js";
import { Streams, streamsOptions } from "../../base/streams/connection.js";
import { RunSpecSchema, type RunSpecValid } from "../../gen/retort/v1/run_spec_pb.js";
import { openWeightStore } from "../weights/open.js";
import type { WeightStore } from "../weights/store.js";
import { ProcessReporter } from "./process-reporter.js";
import { type ResolvedRun, resolveRun } from "./resolve.js";
import { RunStore } from "./run-store.js";

/** A process's place in a run: its connection, the run's spec and state, and the weights. */
export interface Membership {
  readonly runId: string;
  /** What tells this process from the run's others: its role, its teacher, and its number or its pod's name. */
  readonly name: string;
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: WeightStore;
  readonly spec: RunSpecValid;
  readonly run: ResolvedRun;
  /** Tells the run's events what this process does and uses. */
  readonly process: ProcessReporter;
}

/** How long a run's processes outlast a NATS server that is away or full: nothing that has been computed is dropped before. */
const memberPatienceMs = 30 * 60_000;

/**
 * Connects to a run.
 *
 * @param kind the role, and the teacher's name where there is one
 * @throws Unavailable if NATS is not there, NotFound if the run is not, InvalidArgument if its spec breaks its rules
 */
export async function joinRun(runId: string, settings: MemberSettings, ...kind: readonly string[]): Promise<Membership> {
  const name = [...kind, settings.index ?? hostname()].join("-");
  const streams = await Streams.connect({ ...streamsOptions(settings, `${name}/${runId}`, kind[0]), patienceMs: memberPatienceMs });
  const runs = await RunStore.open(streams);
  const { spec: stored } = await runs.get(runId);
  if (!stored) throw new RetortError("DataLoss", `run ${runId} has no spec; start it again`);
  const spec = checkMessage(RunSpecSchema, stored);
  const [role = "", teacher = ""] = kind;
  const instance = settings.index === undefined ? hostname() : `${hostname()}/${process.pid}`;
  const reporter = new ProcessReporter({ streams, runId, process: { role, teacher, instance } });
  const store = await openWeightStore(settings, streams);
  return { runId, name, streams, runs, store, spec, run: resolveRun(spec), process: reporter };
}

/** Registers a process in its run while it lives; nothing for one without a run. */
export function registration({ role, ports }: RoleContext<MemberSettings>, membership: () => Membership | undefined): Service {
  return {
    name: "registration",
    start: async () => {
      const joined = membership();
      if (joined) await joined.runs.register(joined.runId, { role, name: joined.name, pid: process.pid, ...ports() });
    },
    stop: async () => {
      const joined = membership();
      if (joined) await joined.runs.unregister(joined.runId, { role, name: joined.name });
    },
  };
}
