import type { Run } from "../../gen/retort/v1/run_pb.js";

/** Whether each word of a search, in either case, is in what a list says of a run: id, name, methods, message. */
export function isFoundBy({ runId, spec, message }: Run, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const methods = spec?.phases.flatMap(({ preset, objective }) => [preset, objective?.divergence]) ?? [];
  const all = [runId, spec?.name, ...methods, message].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
