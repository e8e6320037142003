import { spawnWorker, type WorkerHandle } from "../../base/workers.js";
import type { ClassifierHost } from "./classifier-host.js";
import type { ModelHost } from "./model-host.js";

/** Starts a worker thread with a {@link ModelHost} in it. */
export const spawnModelHost = (): WorkerHandle<ModelHost> => spawnWorker<ModelHost>(new URL("./model-worker.js", import.meta.url));

/** Starts a worker thread with a {@link ClassifierHost} in it. */
export const spawnClassifierHost = (): WorkerHandle<ClassifierHost> =>
  spawnWorker<ClassifierHost>(new URL("./classifier-worker.js", import.meta.url));
