import { setTimeout } from "node:timers/promises";
import { exitNow } from "../../../services/shared/base/exit.js";
import { spawnWorker } from "../../../services/shared/base/workers.js";
import type { BusyWorker } from "./busy-worker.js";

// A process that ends, with code 78, while its thread loads or computes: `ends.js close|exit load|compute MS`.
const [how, when, ms] = process.argv.slice(2);
const worker = spawnWorker<BusyWorker>(new URL("./busy-worker.js", import.meta.url));
if (when === "compute") worker.api.compute().catch(() => {});
await setTimeout(Number(ms));
if (how === "close") await worker.close();
await exitNow(78);
