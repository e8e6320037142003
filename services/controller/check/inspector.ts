import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Problem } from "../../shared/base/errors.js";
import { WorkerPool } from "../../shared/base/worker-pool.js";
import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { SpecWarning } from "./checked-run.js";
import { DescribingTeachers } from "./describing-teachers.js";
import type { EstimateInit } from "./estimate.js";
import type { Inspection } from "./inspection-host.js";
import type { RunPlace } from "./run-place.js";

/** Threads, and MiB of JavaScript heap of each. */
const [threads, memoryMb] = [2, 2048];

/** The longest that a spec may be looked at: its models' headers, tokenizers and first rows. */
const timeoutMs = 60_000;

/** What is said of a spec: all that is wrong with it, or how it may start. */
export type Verdict = { readonly problems: readonly Problem[] } | AcceptedRun;

/** A run that may start. */
export interface AcceptedRun {
  /** The spec with what was left open in it: the rows of its vocabulary, and its signals. */
  readonly spec: RunSpec;
  readonly run: ResolvedRun;
  /** What is allowed and unusual about it. */
  readonly warnings: readonly SpecWarning[];
  /** What it is expected to take. */
  readonly estimate: EstimateInit;
}

/**
 * Looks at specs in threads of their own, and at teachers in processes: files, templates and patterns are their callers', and
 * one that never ends, or takes all memory, must not keep others from the controller.
 */
class Inspector {
  readonly #pool = new WorkerPool<Inspection>(new URL("./inspection-worker.js", import.meta.url), { size: threads, memoryMb });
  readonly #teachers = new DescribingTeachers({ memoryMb, timeoutMs });

  async check(spec: RunSpec, place: RunPlace): Promise<Verdict> {
    const what = "looking at the run's spec, models and data";
    // Beside the thread, which takes as long to start.
    if (spec.teachers.length) this.#teachers.prepare();
    const inspected = await this.#pool.run(
      async (api) => {
        const teachers = await api.begin(toBinary(RunSpecSchema, spec), place);
        await Promise.all(teachers.map((teacher) => this.#teachers.ask(teacher, (server) => api.describe(server))));
        return api.finish();
      },
      { timeoutMs, what },
    );
    return "problems" in inspected ? inspected : { ...inspected, spec: fromBinary(RunSpecSchema, inspected.spec) };
  }
}

let inspector: Inspector | undefined;

/**
 * Checks a spec and everything that it names, in one go.
 *
 * @throws ResourceExhausted if it takes too long, or too much memory, to find out
 */
export function checkRun(spec: RunSpec, place: RunPlace = {}): Promise<Verdict> {
  inspector ??= new Inspector();
  return inspector.check(spec, place);
}
