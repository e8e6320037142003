import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Problem } from "../../shared/base/errors.js";
import { WorkerPool } from "../../shared/base/worker-pool.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Inspection } from "./inspection-host.js";
import type { SpecWarning } from "./warnings.js";

/** Threads, and MiB of JavaScript heap of each. */
const [threads, memoryMb] = [2, 2048];

/** The longest that a spec may be looked at: its models' headers, tokenizers and first rows. */
const timeoutMs = 60_000;

/** A spec that may start, with what was left open in it. */
export interface SettledSpec {
  readonly spec: RunSpec;
  readonly warnings: readonly SpecWarning[];
}

/**
 * Looks at specs in threads of their own: their files, templates and patterns are somebody's, and one that never ends, or
 * takes all memory, must keep nobody else from the controller.
 */
class Inspector {
  readonly #pool = new WorkerPool<Inspection>(new URL("./inspection-worker.js", import.meta.url), { size: threads, memoryMb });

  problems(spec: RunSpec): Promise<Problem[]> {
    return this.#pool.run((api) => api.problems(toBinary(RunSpecSchema, spec)), { timeoutMs, what: "checking the run spec" });
  }

  modelProblems(spec: RunSpec): Promise<Problem[]> {
    const what = "looking at the run's models and data";
    return this.#pool.run((api) => api.modelProblems(toBinary(RunSpecSchema, spec)), { timeoutMs, what });
  }

  async settle(spec: RunSpec): Promise<SettledSpec> {
    const what = "looking at the run's models";
    const { spec: bytes, warnings } = await this.#pool.run((api) => api.settle(toBinary(RunSpecSchema, spec)), { timeoutMs, what });
    return { spec: fromBinary(RunSpecSchema, bytes), warnings };
  }
}

let inspector: Inspector | undefined;
const inspecting = (): Inspector => {
  inspector ??= new Inspector();
  return inspector;
};

/** What is wrong with a spec by itself. @throws ResourceExhausted if that takes too long to find out */
export const specProblems = (spec: RunSpec): Promise<Problem[]> => inspecting().problems(spec);

/** What is wrong between a valid spec and its models and datasets. @throws ResourceExhausted if it takes too long to find out */
export const modelProblems = (spec: RunSpec): Promise<Problem[]> => inspecting().modelProblems(spec);

/**
 * What is unusual about a spec without problems, and the spec with what follows from its models: the rows of its vocabulary,
 * and the signals that it leaves open.
 *
 * @throws ResourceExhausted if it takes too long
 */
export const settle = (spec: RunSpec): Promise<SettledSpec> => inspecting().settle(spec);
