import type { Service } from "../../base/lifecycle.js";
import type { RoleContext } from "../../base/role.js";
import type { ModelSettings } from "../../base/settings.js";
import { Streams, streamsOptions } from "../../base/streams/connection.js";
import type { RunSpec } from "../../gen/retort/v1/run_pb.js";
import { openWeightStore } from "../weights/open.js";
import type { WeightStore } from "../weights/store.js";
import { type ResolvedRun, resolveRun } from "./resolve.js";
import { RunStore } from "./state.js";

/** A process's place in a run: its connection, the run's spec and state, and the weights. */
export interface Membership {
  readonly runId: string;
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly store: WeightStore;
  readonly spec: RunSpec;
  readonly run: ResolvedRun;
}

/** Connects to a run. @throws Unavailable if NATS is not there, NotFound if the run is not */
export async function joinRun(runId: string, settings: ModelSettings, name: string): Promise<Membership> {
  const streams = await Streams.connect(streamsOptions(settings, `${name}/${runId}`));
  const runs = await RunStore.open(streams);
  const { spec } = await runs.get(runId);
  return { runId, streams, runs, store: openWeightStore(settings, streams), spec: spec!, run: resolveRun(spec!) };
}

/** Registers a process in its run while it lives. */
export function registration({ role, settings, ports }: RoleContext<ModelSettings>, membership: () => Membership): Service {
  const { index } = settings;
  return {
    name: "registration",
    start: () => {
      const { runs, runId } = membership();
      return runs.register(runId, { role, index, pid: process.pid, ...ports() });
    },
    stop: async () => {
      const { runs, runId } = membership();
      await runs.unregister(runId, { role, index });
    },
  };
}
