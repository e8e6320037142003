import { runNamed } from "../../shared/flow/runs/run-named.js";
import type { ControllerClient } from "../local.js";

/** A whole id, as the controller makes them: name, date, time, three letters. */
const wholeId = /-\d{6}-\d{6}-[a-z0-9]{3}$/;

/** The id of the run that is meant, as `runNamed` has it; a whole id is taken as it is. */
export async function findRun(controller: Pick<ControllerClient, "listRuns">, named: string): Promise<string> {
  if (wholeId.test(named)) return named;
  return runNamed((await controller.listRuns({})).runs, named);
}
