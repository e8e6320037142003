import { basename, dirname, relative, resolve } from "node:path";
import { isHubReference, parseHubReference } from "../../shared/base/remote/hub-reference.js";
import { isRunReference, parseRunReference } from "../../shared/flow/runs/run-reference.js";

/** How a spec names models and data. */
export interface Names {
  /** The spec's file. */
  readonly out: string;
  /** What the spec has for a place: the reference that it was named by, else its path. */
  readonly at: (path: string) => string;
  /** What people call what is there. */
  readonly of: (path: string) => string;
}

/**
 * How a spec names what it is made for.
 *
 * @param out its file, which paths are relative to
 * @param references what was named by an address, by where it lies on this machine
 */
export function namesFor(out: string, references: ReadonlyMap<string, string>): Names {
  return {
    out,
    at: (path) => lasting(references.get(path)) ?? pathFrom(out, path),
    of: (path) => calledBy(references.get(path)) ?? basename(resolve(path)),
  };
}

/** `run://last` will be another run's model when this one's spec is read. */
const lasting = (named: string | undefined): string | undefined =>
  named && isRunReference(named) && parseRunReference(named).run === "last" ? undefined : named;

/** A model of a hub is called by its repository, whatever its revision. */
function calledBy(named: string | undefined): string | undefined {
  if (named === undefined || isRunReference(named)) return named && parseRunReference(named).run;
  if (!isHubReference(named)) return basename(named);
  const { name, path } = parseHubReference(named);
  return basename(path || name);
}

/** A path as a spec has it: relative to the spec's file, unless that leads far. */
function pathFrom(out: string, path: string): string {
  const near = relative(dirname(resolve(out)), resolve(path)) || ".";
  return near.startsWith("../../..") ? resolve(path) : near;
}
