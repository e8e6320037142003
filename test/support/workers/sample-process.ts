import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../../services/shared/base/errors.js";
import { runProcess, type Service } from "../../../services/shared/base/lifecycle.js";
import { createLog } from "../../../services/shared/base/log.js";

/** A process of two services that write down what happens to them; its argument says how it ends. */
const [, , end] = process.argv;
const note = (what: string) => process.stdout.write(`${what}\n`);

const service = (name: string): Service => ({
  name,
  start: async () => {
    if (end === "fail-to-start" && name === "b") throw new RetortError("FailedPrecondition", "port 1 is in use");
    if (end === "slow-start" && name === "b") {
      note("starting b");
      await sleep(60_000, undefined, { ref: true });
    }
    note(`start ${name}`);
  },
  stop: async () => {
    if (end === "slow-stop" && name === "a") await sleep(60_000);
    note(`stop ${name}`);
    if (end === "hand-back" && name === "a") cutShort(new RetortError("Cancelled", "not done"));
    if (end === "fail-to-stop" && name === "b") throw new Error("stuck");
  },
});

let cutShort: (error: RetortError) => void = () => {};
const finished = new Promise<void>((resolve, reject) => {
  cutShort = reject;
  setTimeout(() => {
    if (end === "finish") resolve();
    if (end === "bad-spec") reject(new RetortError("InvalidArgument", "beta is 2"));
    if (end === "reject") void Promise.reject(new Error("nobody heard this"));
    if (end === "throw") setImmediate(() => (undefined as unknown as () => void)());
  }, 50);
});

// Keeps the process alive as a server would.
setInterval(() => {}, 1000);
const log = createLog("sample", { level: "info", format: "json" });
await runProcess([service("a"), service("b")], finished, { log, graceMs: 1500, onStop: () => note("stopping") });
