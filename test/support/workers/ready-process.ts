import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../../../services/shared/base/errors.js";
import { tellParent } from "../../../services/shared/base/ready.js";

/** A process that tells its parent what its argument says, or nothing. */
const [, , what] = process.argv;
const serving = { host: "127.0.0.1", grpcPort: 1, healthPort: 2, metricsPort: 3 };

if (what === "fail") await tellParent({ error: new RetortError("NotFound", "there is no model here").toJSON() });
if (what === "serve") {
  await tellParent({ serving });
  // Told twice is told once.
  await tellParent({ serving: { ...serving, grpcPort: 9 } });
}
if (what === "serve-later") {
  process.stdout.write("started\n");
  await sleep(200);
  await tellParent({ serving });
  process.stdout.write("told\n");
}
if (what === "hang") await sleep(60_000);
if (what === "crash") throw new RangeError("too far");
