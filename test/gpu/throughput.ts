import { setInterval } from "node:timers";
import { gpus } from "../../services/shared/ml/runtime/cuda/gpus.js";
import type { Device, Runtime } from "../../services/shared/ml/runtime/session.js";
import { median } from "../bench/harness.js";
import { type Served, startOurs, startPeer } from "../bench/served.js";
import { type Load, loadArguments, loads, type Shape, savedModel } from "../bench/shapes.js";

/** A figure of Retort, beside that of a peer on the same device where one is at hand. */
export interface Throughput {
  readonly work: string;
  /** What is computed in. */
  readonly dtype: string;
  readonly by: string;
  readonly tokensPerSecond: number;
  /** Most bytes of the GPU that were taken meanwhile, by whomever; undefined where no driver tells. */
  readonly deviceBytes: number | undefined;
}

/** How something is computed. */
interface Way {
  readonly dtype: "bfloat16" | "float16" | "float32";
  /** What the program is told of it. */
  readonly options?: object;
  readonly env?: NodeJS.ProcessEnv;
  /** Runtimes that can do it; all if absent. */
  readonly runtimes?: readonly Runtime[];
}

const float32: Way = { dtype: "float32" };
const held = { dtype: "float16" } as const;
const native = ["native"] as const;

const works = [
  {
    ...{ work: "decode", kind: "sample", script: "generate.py", word: "" },
    ways: [
      float32,
      { ...held, options: held, runtimes: native, env: { RETORT_CUDA_GRAPHS: "0" } },
      { ...held, options: held, runtimes: native, env: { RETORT_CUDA_GRAPHS: "1" } },
    ],
  },
  {
    ...{ work: "score", kind: "score", script: "score.py", word: '{"kind":"top_k","k":64,"temperature":1}' },
    ways: [float32, { ...held, options: held }, { dtype: "bfloat16", options: { dtype: "bfloat16" } }],
  },
  {
    // A made-up teacher's distributions are held in memory: fewer sequences.
    ...{ work: "train", kind: "train", script: "train.py", word: "", most: 8 },
    ways: [float32, ...(["float16", "bfloat16"] as const).map((dtype) => ({ dtype, options: { computeDtype: dtype } }))],
  },
] as const satisfies readonly { readonly ways: readonly Way[]; readonly [of: string]: unknown }[];

/** Tokens per second of one program, which is ended then; memory is looked at twice a second. */
async function measure(
  program: Served,
  word: string,
  tokens: number,
  repetitions: number,
): Promise<Pick<Throughput, "deviceBytes" | "tokensPerSecond">> {
  let deviceBytes: number | undefined;
  const look = async () => {
    const [gpu] = await gpus();
    if (gpu) deviceBytes = Math.max(deviceBytes ?? 0, gpu.memoryBytes - gpu.freeBytes);
  };
  const timer = setInterval(() => void look(), 500);
  const seconds: number[] = [];
  try {
    // The first repetition warms up.
    for (let repetition = -1; repetition < repetitions; repetition++) {
      const figures = await program.ask(word);
      if (repetition >= 0) seconds.push(figures.seconds);
    }
    await look();
  } finally {
    clearInterval(timer);
    await program.stop();
  }
  return { tokensPerSecond: tokens / median(seconds), deviceBytes };
}

/**
 * Decoding, scoring and training at a shape with random weights, in float32 and in half precision; with peers, transformers' `generate`
 * and PyTorch on the same device in float32.
 */
export async function throughput(shape: Shape, device: Device, runtimes: readonly Runtime[], peers: boolean): Promise<Throughput[]> {
  const { directory } = await savedModel(shape, "student");
  const found: Throughput[] = [];
  for (const { work, kind, script, word, ways, ...rest } of works) {
    const load: Load = { ...loads[shape], batch: Math.min(loads[shape].batch, "most" in rest ? rest.most : loads[shape].batch) };
    const tokens = load.batch * (work === "decode" ? load.fresh : load.prompt + load.fresh);
    const what = `${work}, ${shape}, ${load.batch} × (${load.prompt} + ${load.fresh})`;
    for (const { dtype, options = {}, env = {}, runtimes: able = runtimes } of ways as readonly Way[])
      for (const runtime of runtimes.filter((one) => able.includes(one))) {
        Object.assign(process.env, { RETORT_CUDA_GRAPHS: "0", ...env, RETORT_RUNTIME: runtime });
        const ours = startOurs(runtime, kind, { directory, load, device, ...options });
        const by = `Retort, ${runtime}${env.RETORT_CUDA_GRAPHS === "1" ? ", recorded" : ""}`;
        found.push({ work: what, dtype, by, ...(await measure(ours, word, tokens, load.repetitions)) });
      }
    if (!peers) continue;
    const peer = startPeer(script, script, ["--model", directory, "--device", device, ...loadArguments(load)]);
    const by = work === "decode" ? "transformers generate" : "PyTorch";
    found.push({ work: what, dtype: "float32", by, ...(await measure(peer, "", tokens, load.repetitions)) });
  }
  return found;
}
