/** A client of Retort's controller. See README.md. */
export { Code, ConnectError } from "@connectrpc/connect";
export * from "@retort/proto";
export { isOver } from "./is-over.js";
export {
  type ExportOptions,
  type ListFilter,
  Retort,
  type RetortOptions,
  type RunName,
  type RunOptions,
  type WatchOptions,
} from "./retort.js";
