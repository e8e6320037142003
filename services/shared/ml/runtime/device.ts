import { RetortError } from "../../base/errors.js";
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32, int32 } from "../graph/tensor.js";
import { cudaObstacle } from "./cuda/obstacle.js";
import { floatsOf } from "./outputs.js";
import { refusal } from "./refused-devices.js";
import { type Device, type Feeds, Session } from "./session.js";

/** Every device that a setting may name. */
export const devices = ["cpu", "cuda", "webgpu"] as const satisfies readonly Device[];

/** Tokens and width of what is computed to try a device. */
const [tokens, width] = [4, 64];

/** Most that a device may differ from the CPU in what {@link probeGraph} computes, half precision included. */
const tolerance = 0.02;

/**
 * What a step is made of: a product, reductions, softmax, attention in half precision. Libraries that a device needs for any of
 * them are found to be missing here, and not in the first step.
 */
function probeGraph(): Graph {
  const graph = new Graph("probe");
  const x_TD = graph.input("x", "float32", [tokens, width]);
  const products_TT = op.fusedMatMul(x_TD, x_TD, { transB: true, alpha: 1 / width });
  graph.output("softmax", op.softmax(products_TT));
  graph.output("logSoftmax", op.logSoftmax(products_TT));
  graph.output("largest", op.reduceMax(products_TT, [1]));
  const half_1TD = op.cast(op.unsqueeze(x_TD, [0]), "float16");
  const last_1 = graph.constant(int32([tokens - 1], [1]));
  const attended_1TD = op.groupQueryAttention([half_1TD, half_1TD, half_1TD], last_1, graph.constant(int32([tokens], [])), {
    heads: 1,
    kvHeads: 1,
  }).y;
  graph.output("attention", op.cast(attended_1TD, "float32"));
  return graph;
}

async function probe(device: Device): Promise<Feeds> {
  const session = await Session.create(probeGraph(), { device, threads: 1 });
  try {
    const x = Float32Array.from({ length: tokens * width }, (_, i) => Math.sin(i));
    return await session.run({ x: float32(x, [tokens, width]) });
  } finally {
    await session.release();
  }
}

/** Why a device cannot be used here, with the way out where it is known; undefined if it can. What decides is what it computes. */
export async function obstacle(device: Device): Promise<string | undefined> {
  // The CPU is part of every build.
  if (device === "cpu") return undefined;
  const known = refusal(device) ?? (device === "cuda" ? await cudaObstacle() : undefined);
  if (known) return known;
  try {
    const [found, expected] = [await probe(device), await probe("cpu")];
    const wrong = Object.keys(expected).find((name) => differs(floatsOf(found, name), floatsOf(expected, name)));
    return wrong && `it computes a wrong ${wrong}: its driver or libraries are damaged, or don't go together`;
  } catch (error) {
    return (error as Error).message.split("\n")[0]!;
  }
}

const differs = (a: Float32Array, b: Float32Array): boolean => a.some((x, i) => !(Math.abs(x - b[i]!) <= tolerance));

/** The devices that models can run on here. */
export async function availableDevices(): Promise<Device[]> {
  const found: Device[] = [];
  for (const device of devices) if ((await obstacle(device)) === undefined) found.push(device);
  return found;
}

/**
 * Makes sure of a device before work starts: sessions are made only when they are needed.
 *
 * @throws FailedPrecondition that names the device, the reason with the way out, and the devices that there are
 */
export async function checkDevice(device: Device): Promise<void> {
  const reason = await obstacle(device);
  if (reason === undefined) return;
  const available = (await availableDevices()).join(", ");
  throw new RetortError("FailedPrecondition", `device ${device} cannot be used here: ${reason}; available: ${available}`, {
    fieldPath: "device",
  });
}
