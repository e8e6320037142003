import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { deferred } from "../shared/base/deferred.js";
import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import type { Service } from "../shared/base/lifecycle.js";
import type { Log } from "../shared/base/log.js";
import { isLoopback } from "../shared/base/paths.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { Streams, streamsOptions } from "../shared/base/streams/connection.js";
import { keepAside } from "../shared/flow/runs/aside.js";
import { type RootSettings, specRootsOf } from "../shared/flow/runs/paths.js";
import { RunStore } from "../shared/flow/runs/run-store.js";
import { ensureStreams } from "../shared/flow/streams.js";
import { openWeightStore } from "../shared/flow/weights/open.js";
import { checkingController } from "./checking-role.js";
import type { ControllerSettings } from "./config.js";
import { Lead } from "./leadership.js";
import { meterController } from "./meters.js";
import { type Mark, openLauncher, openMark } from "./open-launcher.js";
import type { ControllerContext } from "./runs/context.js";
import { Histories } from "./runs/histories.js";
import { look } from "./runs/look.js";
import { logsOfPods, logsUnder } from "./runs/read-logs.js";
import { Retention } from "./runs/retention.js";
import { RunStorage } from "./runs/storage.js";
import { Supervisor } from "./runs/supervisor.js";
import { controllerService } from "./service.js";
import { UploadStore } from "./uploads/upload-store.js";

/** What a controller works with, once it is connected. */
interface Parts {
  readonly context: ControllerContext;
  readonly retention: Retention;
}

/** The controller: always on, small, without a model. */
export function controllerRole({ settings, log, metrics }: RoleContext<ControllerSettings>): RoleParts {
  const roots = rootSettings(settings);
  if (settings.checkOnly) return checkingController(roots);
  const dataDir = resolve(settings.dataDir);
  const denied = deferred<never>();
  let streams: Streams | undefined;
  let parts: Parts | undefined;
  const lead = new Lead({ streams: () => found(streams, "the connection to NATS"), log });
  let mark: Mark | undefined;
  const leading = () => {
    if (parts && lead.isHeld) return parts;
    const reason = parts ? "another controller leads, or has led a moment ago" : "the controller is still connecting to NATS";
    throw new RetortError("Unavailable", `${reason}; call again`);
  };
  const connect: Service = {
    name: "nats",
    start: async () => {
      mark = await openMark(settings);
      await mark?.(false);
      streams = await Streams.connect(streamsOptions(settings, "controller"));
      void streams.denied.then(denied.reject);
      parts = await openParts({ ...settings, dataDir }, streams, roots, log);
    },
    stop: async () => streams?.close(),
  };
  meterController(metrics, {
    dataDir,
    log,
    look: () => (lead.isHeld && parts ? look(parts.context.streams, parts.context.runs) : undefined),
  });
  const adopt: Service = {
    name: "runs",
    start: async () => {
      const { context, retention } = leading();
      await context.supervisor.adopt();
      retention.start();
      // Calls come to this one from now on.
      await mark?.(true);
    },
    stop: async () => {
      parts?.retention.stop();
      await parts?.context.supervisor.close();
    },
  };
  const page = { port: settings.httpPort, directory: fileURLToPath(new URL("../console", import.meta.url)) };
  // Beside others it is there, and ready, while it waits; one by itself isn't before it leads.
  const [before, after] = settings.leaderLabel === undefined ? [[connect, lead], [adopt]] : [[connect], [lead, adopt]];
  const finished = Promise.race([lead.lost, denied.promise]);
  return { before, implementations: [controllerService(() => leading().context)], page, after, finished };
}

/** @param settings with `dataDir` as an absolute path */
async function openParts(settings: ControllerSettings, streams: Streams, roots: RootSettings, log: Log): Promise<Parts> {
  const { dataDir, stopDeadlineMs, keepRunsDays: keepDays } = settings;
  const now = () => new Date();
  await ensureStreams(streams);
  const report = keepAside(streams, log);
  const runs = await RunStore.open(streams, report);
  const launcher = await openLauncher(settings, log);
  const store = await openWeightStore(settings, streams);
  const storage = new RunStorage({ dataDir, streams, runs, store });
  const supervisor = new Supervisor({ streams, runs, launcher, log, storage, stopDeadlineMs });
  const kept = { store, storage, uploads: uploadsIn(settings), histories: new Histories(streams, report) };
  const place = { ...roots, profiles: launcher.profiles };
  const mostFetchedBytes = launcher.fetches ? settings.maxFetchBytes : undefined;
  const logs = settings.launcher === "local" ? logsUnder(dataDir) : logsOfPods(settings.namespace ?? "NAMESPACE");
  const retention = new Retention({ runs, storage, supervisor, keepDays, log, now });
  return { context: { streams, runs, ...kept, supervisor, place, mostFetchedBytes, logs, stopDeadlineMs, report, now }, retention };
}

const uploadsIn = ({ dataDir, maxUploadBytes }: ControllerSettings): UploadStore =>
  new UploadStore(join(resolve(dataDir), "uploads"), maxUploadBytes);

/**
 * Where the paths of specs may lead.
 *
 * @throws FailedPrecondition for a controller that others reach and that would open any path for them
 */
function rootSettings(settings: ControllerSettings): RootSettings {
  const { host, roots, outputRoots } = settings;
  if (!roots && !isLoopback(host))
    throw new RetortError(
      "FailedPrecondition",
      `--host is ${host}, and a spec from there could name any file of this machine; name the directories that specs may name, as --roots /models,/data`,
    );
  // A root that is none must be known now, and not at the first spec.
  specRootsOf(settings);
  return { roots, outputRoots };
}
