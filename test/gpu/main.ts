/**
 * The proof on a GPU: `npm run test:gpu -- [--device cuda] [--shapes 0.5b,1.5b] [--runtimes native,stock] [--out FILE]`.
 *
 * Log-probabilities, gradients and ten AdamW steps of the device beside those of the CPU; an on-policy run; tokens per second of
 * decoding (float16 with and without CUDA graphs), scoring and training at real sizes with random weights, in float32 and half precision, beside transformers and PyTorch on the same device where
 * RETORT_PEERS_PYTHON names a Python that has both; memory of the device. Prints a table in Markdown, and ends with 1 where the
 * device is too far from the CPU, with 78 where it can't be used. What copies a step makes, `npm run test:gpu-fake` counts.
 *
 * `--device cpu --shapes tiny` proves this program on a machine without a GPU.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { bytesInWords } from "../../services/shared/base/bytes-in-words.js";
import { errorTable } from "../../services/shared/base/errors.js";
import { cudaVersions, gpus } from "../../services/shared/ml/runtime/cuda/gpus.js";
import { devices, obstacle } from "../../services/shared/ml/runtime/device.js";
import { type Device, type Runtime, runtimes } from "../../services/shared/ml/runtime/session.js";
import { havePeers } from "../bench/harness.js";
import { markdownTable } from "../bench/rows.js";
import { loads, type Shape } from "../bench/shapes.js";
import { onPolicyRun } from "./on-policy-run.js";
import { parity } from "./parity.js";
import { throughput } from "./throughput.js";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda" },
    shapes: { type: "string", default: "0.5b,1.5b" },
    runtimes: { type: "string", default: "native,stock" },
    out: { type: "string" },
  },
});

/** The words of a list, each one of those that are known. */
function listed<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  return text.split(",").map((word) => {
    const one = known.find((name) => name === word);
    if (one) return one;
    console.error(`--${option} names "${word}"; known: ${known.join(", ")}`);
    return process.exit(errorTable.InvalidArgument.exit);
  });
}

const problems: string[] = [];

async function parityTable(device: Device, chosen: readonly Runtime[]): Promise<string> {
  const rows: string[][] = [];
  for (const runtime of chosen)
    for (const { what, worst, where, allowed } of await parity({ device, runtime })) {
      rows.push([what, runtime, worst.toExponential(1), where, allowed.toExponential(0)]);
      if (!(worst <= allowed)) problems.push(`${runtime}: ${what}: ${worst} from the CPU (${where}); at most ${allowed}`);
    }
  return markdownTable([["farthest from the CPU", "runtime", "difference", "where", "allowed"], ...rows]);
}

async function runTable(device: Device, chosen: readonly Runtime[]): Promise<string> {
  const rows: string[][] = [];
  for (const runtime of chosen) {
    process.env.RETORT_RUNTIME = runtime;
    const { steps, secondsPerStep, firstDivergence, lastDivergence } = await onPolicyRun(device);
    if (!(lastDivergence < firstDivergence))
      problems.push(`${runtime}: the run's divergence goes from ${firstDivergence} to ${lastDivergence}; it must fall`);
    rows.push([
      `on-policy run, ${steps} steps`,
      runtime,
      secondsPerStep.toFixed(2),
      `${firstDivergence.toFixed(3)} to ${lastDivergence.toFixed(3)}`,
    ]);
  }
  return markdownTable([["run", "runtime", "seconds per step", "divergence"], ...rows]);
}

async function throughputTable(device: Device, shapes: readonly Shape[], chosen: readonly Runtime[]): Promise<string> {
  const peers = havePeers();
  const rows: string[][] = [];
  for (const shape of shapes)
    for (const { work, dtype, by, tokensPerSecond, deviceBytes } of await throughput(shape, device, chosen, peers))
      rows.push([work, dtype, by, tokensPerSecond.toFixed(0), deviceBytes === undefined ? "" : bytesInWords(deviceBytes)]);
  return markdownTable([["work", "in", "by", "tokens per second", "device memory taken"], ...rows]);
}

/** The device in words, as a table's title. */
async function titleOf(device: Device): Promise<string> {
  if (device !== "cuda") return `On ${device}, which proves this program and no GPU:`;
  const [card] = await gpus();
  const { cuda, cudnn } = cudaVersions();
  return `On ${card?.name ?? "a GPU"}, driver ${card?.driver ?? "unknown"}, CUDA ${cuda ?? "unknown"}, cuDNN ${cudnn ?? "unknown"}:`;
}

const [device] = listed("device", values.device, devices) as [Device];
const shapes = listed("shapes", values.shapes, Object.keys(loads) as Shape[]);
const chosen = listed("runtimes", values.runtimes, runtimes);
const reason = await obstacle(device);
if (reason) {
  console.error(`device ${device} cannot be used here: ${reason}`);
  process.exit(errorTable.FailedPrecondition.exit);
}
const parts = [await titleOf(device)];
for (const table of [() => parityTable(device, chosen), () => runTable(device, chosen), () => throughputTable(device, shapes, chosen)]) {
  parts.push(await table());
  console.error(`${parts.at(-1)}\n`);
}
console.log(parts.join("\n\n"));
if (values.out) await writeFile(values.out, `${parts.join("\n\n")}\n`);
for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
