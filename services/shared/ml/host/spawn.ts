import { spawnWorker, type WorkerHandle } from "../../base/workers.js";
import type { ModelHost } from "./model-host.js";

/** Starts a worker thread with a {@link ModelHost} in it. */
export const spawnModelHost = (): WorkerHandle<ModelHost> => spawnWorker<ModelHost>(new URL("./model-worker.js", import.meta.url));
