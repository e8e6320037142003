import type { RootSettings } from "../../shared/flow/runs/paths.js";

/** Where runs go, as far as a spec may name parts of it: the directories that its paths may lead to, and the profiles of its roles. */
export interface RunPlace extends RootSettings {
  /** undefined where roles are processes of this machine, which have none. */
  readonly profiles?: readonly string[] | undefined;
}
