/**
 * onnxruntime's CUDA provider over a driver that computes nothing (driver/): where every graph's nodes are placed, and how often
 * the driver is called, held against bounds.ts. Needs no GPU; a C compiler, and pip the first time. `npm run test:gpu-fake`.
 */
import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { textTable } from "../../services/cli/terminal/text-table.js";
import { found } from "../../services/shared/base/found.js";
import { runtimes } from "../../services/shared/ml/runtime/session.js";
import { bounds, copyNodes, type Measured, onCpu } from "./bounds.js";
import { type Counts, callsOf } from "./counters.js";
import { buildFakeDriver } from "./fake-driver.js";
import type { Work } from "./graphs.js";
import { type Placement, placementsIn } from "./read-placements.js";

const problems: string[] = [];

/**
 * Runs a program of this folder over the fake driver. Its log goes to a file: what onnxruntime writes to a full pipe is lost.
 *
 * @throws an Error with the end of its log if it fails
 */
async function overFake(program: string, env: NodeJS.ProcessEnv = {}): Promise<{ readonly stdout: string; readonly log: string }> {
  const path = join(driver.directory, `${program}.log`);
  await using file = await open(path, "w");
  const child = spawn(process.execPath, [`dist/test/gpu-fake/${program}`], {
    stdio: ["ignore", "pipe", file.fd],
    // cuDNN's attention asks its library for more than the driver has.
    env: { ...process.env, RETORT_CUDA_DIR: driver.directory, ORT_ENABLE_CUDNN_FLASH_ATTENTION: "0", ...env },
  });
  const ended = new Promise<string>((resolve) => child.once("close", (code, signal) => resolve(String(code ?? signal))));
  const [stdout, code] = await Promise.all([text(found(child.stdout ?? undefined, "what it prints")), ended]);
  const log = await readFile(path, "utf8");
  if (code !== "0") throw new Error(`${program} ended with ${code}: ${log.slice(-2000)}`);
  return { stdout, log };
}

function checkPlacements(placements: readonly Placement[]): void {
  const rows = (Object.keys(onCpu) as Work[]).map((work) => {
    const graphs = placements.filter((placement) => placement.work === work);
    const operators = new Set(graphs.flatMap((graph) => graph.operators.get("CPUExecutionProvider") ?? []));
    const [computed, expected] = [[...operators].sort().join(", "), onCpu[work].join(", ")];
    if (computed !== expected) problems.push(`${work}: the CPU computes ${computed}; it should be ${expected}`);
    for (const { name, copies } of graphs)
      if (copies > copyNodes[work]) problems.push(`${work}/${name}: ${copies} nodes copy; at most ${copyNodes[work]} may`);
    return [work, String(graphs.length), computed, String(Math.max(...graphs.map(({ copies }) => copies)))];
  });
  console.log(textTable(["graphs", "count", "operators on the CPU", "copying nodes, at most"], rows, process.stdout));
}

async function countCalls(): Promise<void> {
  const rows: string[][] = [];
  for (const runtime of runtimes) {
    const { stdout } = await overFake("count.js", { RETORT_RUNTIME: runtime });
    const { works } = JSON.parse(stdout) as { readonly works: Record<Measured, Counts> };
    for (const [work, counts] of Object.entries(works) as [Measured, Counts][]) {
      const { launches, products, ups, upBytes, downs, downBytes, across, waits } = counts;
      const all = { calls: callsOf(counts), upBytes, downBytes, waits };
      const bound = bounds[runtime][work];
      if (!bound) problems.push(`${runtime}, ${work}: bounds.ts has none`);
      for (const [what, most] of Object.entries(bound ?? {}))
        if (all[what as keyof typeof all] > most)
          problems.push(`${runtime}, ${work}: ${what} ${all[what as keyof typeof all]}; at most ${most}`);
      const figures = [all.calls, launches + products, ups, upBytes, downs, downBytes, across, waits];
      rows.push([runtime, work, ...figures.map((figure) => String(Math.round(figure * 10) / 10))]);
    }
  }
  const head = ["runtime", "work", "calls", "kernels", "up", "bytes up", "down", "bytes down", "across", "waits"];
  console.log(textTable(head, rows, process.stdout));
}

const driver = await buildFakeDriver();
try {
  checkPlacements(placementsIn((await overFake("placement.js")).log));
  await countCalls();
} finally {
  await driver.remove();
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
