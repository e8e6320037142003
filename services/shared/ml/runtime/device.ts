import { RetortError } from "../../base/errors.js";
import { Graph } from "../graph/graph.js";
import { add } from "../graph/ops/index.js";
import { type Device, Session } from "./session.js";

/** Every device that a setting may name. */
export const devices = ["cpu", "cuda", "webgpu"] as const satisfies readonly Device[];

/** Why a device cannot be used here; undefined if it can. What decides is a session on it: the runtime lists more than it has. */
async function obstacle(device: Device): Promise<string | undefined> {
  const graph = new Graph("probe");
  const x = graph.input("x", "float32", [1]);
  graph.output("y", add(x, x));
  try {
    await (await Session.create(graph, { device, threads: 1 })).release();
    return undefined;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}

/** The devices that models can run on here. */
export async function availableDevices(): Promise<Device[]> {
  const found: Device[] = [];
  for (const device of devices) if ((await obstacle(device)) === undefined) found.push(device);
  return found;
}

/**
 * Makes sure of a device before work starts: sessions are made only when they are needed.
 *
 * @throws FailedPrecondition that names the device, the runtime's reason and the devices that there are
 */
export async function checkDevice(device: Device): Promise<void> {
  // The CPU is part of every build.
  const reason = device === "cpu" ? undefined : await obstacle(device);
  if (reason === undefined) return;
  const available = (await availableDevices()).join(", ");
  throw new RetortError("FailedPrecondition", `device ${device} is not available here (${reason}); available: ${available}`, {
    fieldPath: "device",
  });
}
