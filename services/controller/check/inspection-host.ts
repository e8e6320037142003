import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { specRootsOf } from "../../shared/flow/runs/paths.js";
import type { ResolvedRun } from "../../shared/flow/runs/resolve.js";
import { RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { askTeacher, type TeacherServer, type TeacherSource } from "./ask-teacher.js";
import { RunCheck } from "./check-run.js";
import type { SpecWarning } from "./checked-run.js";
import { type EstimateInit, estimateOf } from "./estimate.js";
import { machineMemory } from "./machine-memory.js";
import type { RunPlace } from "./run-place.js";
import { settled } from "./settle.js";
import { warningsOf } from "./warnings.js";

/** What an inspection came to, fit to be sent to another thread: all problems, or the settled spec as bytes with its warnings. */
export type Inspected =
  | { readonly problems: readonly Problem[] }
  | {
      readonly spec: Uint8Array;
      readonly run: ResolvedRun;
      readonly warnings: readonly SpecWarning[];
      readonly estimate: EstimateInit;
    };

/** One spec at a time, as a thread of the controller looks at it: `begin`, `describe` for each teacher, `finish`. */
export class Inspection {
  #check: RunCheck | undefined;

  /** Takes a spec, as bytes, and returns the teachers that are to be asked. */
  async begin(spec: Uint8Array, place: RunPlace): Promise<readonly TeacherSource[]> {
    this.#check = await RunCheck.begin(fromBinary(RunSpecSchema, spec), specRootsOf(place), place.profiles);
    return this.#check.teachers;
  }

  /** Asks a teacher what it is. @throws Unavailable and the like if it does not answer */
  async describe(server: TeacherServer): Promise<void> {
    await this.#begun.describe(server.source, (digest) => askTeacher(server, digest));
  }

  /** Says what came of it. */
  async finish(): Promise<Inspected> {
    const result = await this.#begun.finish();
    if ("problems" in result) return result;
    const checked = settled(result.checked);
    const said = { warnings: warningsOf(result.checked), estimate: estimateOf(checked, machineMemory()) };
    return { spec: toBinary(RunSpecSchema, checked.spec), run: checked.run, ...said };
  }

  get #begun(): RunCheck {
    if (!this.#check) throw new RetortError("FailedPrecondition", "no spec is being looked at; call begin first");
    return this.#check;
  }
}
