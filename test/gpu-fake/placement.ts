/**
 * Compiles every graph for CUDA with onnxruntime's log at its most verbose, which says where each node goes; `placementsIn` reads
 * that. To be run by main.ts, over the fake driver.
 */
import { writeSync } from "node:fs";
import ort from "onnxruntime-node";
import { encodeModel } from "../../services/shared/ml/graph/encode.js";
import { loadCuda } from "../../services/shared/ml/runtime/cuda/libraries.js";
import { everyGraph } from "./graphs.js";
import { graphMark } from "./read-placements.js";

const standardError = 2;

await loadCuda();
ort.env.logLevel = "verbose";
for (const { work, name, build } of everyGraph()) {
  writeSync(standardError, `\n${graphMark}${work}/${name}\n`);
  const session = await ort.InferenceSession.create(encodeModel(build()), {
    executionProviders: ["cuda", "cpu"],
    graphOptimizationLevel: "basic",
    intraOpNumThreads: 1,
    logSeverityLevel: 0,
  });
  await session.release();
}
