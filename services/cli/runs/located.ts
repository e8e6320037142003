import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import type { OnProgress } from "../../shared/base/remote/snapshot-cache.js";
import { fetchReference, isFetchable } from "../../shared/flow/runs/fetch-reference.js";
import { weightFiles } from "../../shared/flow/runs/input-files.js";
import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { showTransfer } from "../terminal/bar.js";
import type { ControllerOptions } from "./controller.js";

/** How something that is elsewhere is brought here. */
export interface Bringing {
  /** Whether only tokenizer and configs of a model are read. */
  readonly withoutWeights?: boolean | undefined;
  /** Of adapters, as `fetchReference` takes them. */
  readonly bases?: readonly string[] | undefined;
  readonly withoutBase?: boolean | undefined;
  /** Where runs are known. Default: as of a command without these options. */
  readonly controller?: ControllerOptions | undefined;
}

type Bring = (named: string, bringing: Bringing, onProgress: OnProgress) => Promise<string>;

/** Who brings what is named how. */
const ways: readonly (readonly [isMeant: (named: string) => boolean, bring: Bring])[] = [
  [isFetchable, fetched],
  [isRunReference, fromRun],
];

const wayOf = (named: string) => ways.find(([isMeant]) => isMeant(named))?.[1];

/**
 * Where something that is named by a path, or by a reference (`hf://`, `s3://`, `run://`), lies on this machine: what isn't in the cache
 * is fetched, with progress on standard error. Of a model's folder come the files that Retort reads, of data the rows, and a file that is
 * named comes whatever it is.
 */
export async function located(named: string, bringing: Bringing = {}): Promise<string> {
  const bring = wayOf(named);
  if (!bring) return named;
  const shown = showTransfer(`fetching ${named}`);
  try {
    return await bring(named, bringing, shown.update);
  } finally {
    shown.stop();
  }
}

async function fetched(named: string, { controller: _, ...options }: Bringing, onProgress: OnProgress): Promise<string> {
  return (await fetchReference(named, { ...options, onProgress })).path;
}

async function fromRun(named: string, { withoutWeights, controller = {} }: Bringing, onProgress: OnProgress): Promise<string> {
  const { modelOfRun } = await import("./model-of-run.js");
  return modelOfRun(named, controller, { wanted: (name) => !(withoutWeights && weightFiles.test(name)), onProgress });
}

/** What is where commands read it, by how it was named. */
const references = new WeakMap<Command, Map<string, string>>();

/** The references that a command's arguments were given as, by the places that stand there now. */
export const referencesOf = (command: Command): ReadonlyMap<string, string> => references.get(command) ?? new Map();

/** Options that say where results go, or whom to ask. */
const notRead = ["controller", "dataDir", "out", "output", "samplesOut"];

/** Options that only say more of others. */
const notLocated = ["bases"];

/** Arguments that are no names of anything. */
const texts = ["prompt"];

/** Finds what a command's arguments and options refer to elsewhere, before it runs. @throws InvalidArgument for a result that is to go there */
export async function locateArguments(command: Command): Promise<void> {
  const options = command.opts<Record<string, unknown>>();
  const known = new Map<string, string>();
  references.set(command, known);
  const bringing: Bringing = {
    controller: options as ControllerOptions,
    withoutWeights: options.withoutWeights === true,
    bases: options.bases as readonly string[] | undefined,
    withoutBase: options.base !== undefined,
  };
  const places = async (value: unknown): Promise<unknown> => {
    if (Array.isArray(value)) return inTurn(value, places);
    if (typeof value !== "string") return value;
    const [, flag = "", named = value] = /^(--[\w-]+=)([a-z0-9]+:\/\/.*)$/s.exec(value) ?? [];
    if (!wayOf(named)) return value;
    const place = await located(named, bringing);
    known.set(place, named);
    return `${flag}${place}`;
  };
  for (const option of command.options) {
    const name = option.attributeName();
    const value = options[name];
    if (notRead.includes(name)) refuseReference(option.long ?? name, value);
    else if (!notLocated.includes(name)) {
      const place = await places(value);
      if (place !== value) command.setOptionValueWithSource(name, place, command.getOptionValueSource(name));
    }
  }
  for (const [i, argument] of command.registeredArguments.entries())
    if (!texts.includes(argument.name())) command.processedArgs[i] = await places(command.processedArgs[i]);
}

/** Results are written to this machine. */
function refuseReference(flag: string, value: unknown): void {
  if (typeof value === "string" && wayOf(value))
    throw new RetortError("InvalidArgument", `${flag} is ${value}; results are written to this machine alone: name a path`);
}

async function inTurn<T, R>(values: readonly T[], work: (value: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (const value of values) done.push(await work(value));
  return done;
}
