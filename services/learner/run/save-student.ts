import { join } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import type { RunContext } from "../context/run-context.js";
import { withRoom } from "../context/with-room.js";

/**
 * Saves the trained student where the spec wants it, and says so in the run.
 *
 * @param directory the run's own, where the spec names none
 * @throws the reason, with the way out: all is trained and in the last checkpoint
 */
export async function saveStudent(context: RunContext, directory: string): Promise<void> {
  const { membership, host } = context;
  const { runs, runId, spec, process } = membership;
  const output = spec.output || join(directory, "student");
  const save = () => withRoom(context, "the trained student", output, () => host.save(output, false));
  await process.during(Work.CHECKPOINTING, "the trained student", save).catch((error: unknown) => {
    throw notSaved(error, runId, output);
  });
  await runs.update(runId, (run) => {
    run.output = output;
    return true;
  });
}

function notSaved(thrown: unknown, runId: string, output: string): RetortError {
  const { code, message } = RetortError.from(thrown);
  return new RetortError(
    code,
    `the trained student could not be saved to ${output}: ${message}; its weights are in the last checkpoint: retort export ${runId} --out DIR`,
    { fieldPath: "output", retry: "never", cause: thrown },
  );
}
