import { resolve } from "node:path";
import type { Service } from "../shared/base/lifecycle.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { Streams, streamsOptions } from "../shared/base/streams/connection.js";
import { RunStore } from "../shared/flow/runs/state.js";
import { ensureStreams } from "../shared/flow/streams.js";
import { openWeightStore } from "../shared/flow/weights/open.js";
import type { ControllerSettings } from "./config.js";
import { openLauncher } from "./open-launcher.js";
import { type ControllerContext, controllerService } from "./service.js";
import { Supervisor } from "./supervisor.js";

/** The controller: always on, small, without a model. */
export function controllerRole({ settings, log, metrics }: RoleContext<ControllerSettings>): RoleParts {
  const dataDir = resolve(settings.dataDir);
  const going = metrics.gauge("runs", "runs that are not over");
  let parts: ControllerContext | undefined;
  let streams: Streams | undefined;
  const connect: Service = {
    name: "nats",
    start: async () => {
      streams = await Streams.connect(streamsOptions(settings, "controller"));
      await ensureStreams(streams);
      const runs = await RunStore.open(streams);
      const launcher = await openLauncher({ ...settings, dataDir }, log);
      const supervisor = new Supervisor({ streams, runs, launcher, log });
      parts = { streams, runs, store: await openWeightStore({ ...settings, dataDir }, streams), supervisor, now: () => new Date() };
    },
    stop: async () => streams?.close(),
  };
  const adopt: Service = {
    name: "runs",
    start: async () => {
      await parts!.supervisor.adopt();
      going.set((await parts!.runs.list()).filter(({ finished }) => !finished).length);
    },
    stop: async () => parts?.supervisor.close(),
  };
  return { before: [connect], implementations: [controllerService(() => parts!)], after: [adopt] };
}
