import type { ControllerContext } from "../../../services/controller/runs/context.js";
import { Histories } from "../../../services/controller/runs/histories.js";
import { logsUnder } from "../../../services/controller/runs/read-logs.js";
import { DirectoryStore } from "../../../services/shared/flow/weights/directory-store.js";

type Given = Pick<ControllerContext, "runs" | "streams" | "supervisor"> & Partial<ControllerContext>;

/**
 * What the methods of a controller work with, as a test gives it; what it leaves out is that of its streams, and of a directory.
 *
 * @param directory where weights and logs are; without it there are none
 */
export const controllerContext = ({ directory = "/nowhere", ...given }: Given & { readonly directory?: string }): ControllerContext => ({
  store: new DirectoryStore(directory),
  histories: new Histories(given.streams),
  logs: logsUnder(directory),
  now: () => new Date(),
  ...given,
});
