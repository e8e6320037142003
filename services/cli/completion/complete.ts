import type { Command } from "commander";
import { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerOptions } from "../runs/controller.js";
import { type Sources, type Suggestion, suggest } from "./suggest.js";

/** How long a controller may take: somebody waits at a prompt. */
const patienceMs = 2000;
const roles = ["student", "teacher", "reward", "learner", "controller"];

/** How the commands are found. */
export interface Commands {
  readonly names: readonly string[];
  /** Adds one to the program. */
  readonly load: (name: string) => Promise<unknown>;
}

/**
 * Prints what completes the last of the words that were typed behind `retort`, as `completion/scripts.ts` wants it. Of the commands
 * only the one that is meant is loaded.
 */
export async function complete(program: Command, typed: readonly string[], { names, load }: Commands): Promise<void> {
  const words = typed.length ? typed : [""];
  const at = words.slice(0, -1).findIndex((word) => !word.startsWith("-"));
  print(at < 0 ? first(program, words.at(-1) ?? "", names) : await ofCommand(program, words, at, load));
}

/** The first word: a command, or an option of the program. */
function first(program: Command, begin: string, names: readonly string[]): Suggestion {
  const options = program.createHelp().visibleOptions(program);
  const words = begin.startsWith("-")
    ? options.flatMap(({ long, description }) => (long ? [{ word: long, meaning: description }] : []))
    : names.map((word) => ({ word, meaning: "" }));
  return { kind: "words", words: words.filter(({ word }) => word.startsWith(begin)) };
}

async function ofCommand(program: Command, words: readonly string[], at: number, load: Commands["load"]): Promise<Suggestion> {
  const name = words[at] ?? "";
  await load(name);
  const command = program.commands.find((one) => one.name() === name);
  if (!command) return { kind: "words", words: [] };
  const sources: Sources = { roles, runs: () => runsOf(words) };
  return suggest(command, words.slice(at + 1), sources);
}

/** The runs of the controller that was typed, or that is found without. One that can't be asked has none. */
async function runsOf(words: readonly string[]): Promise<Suggestion["words"]> {
  const option = (flag: string) => words[words.indexOf(flag) + 1 || words.length];
  const given = {
    controller: option("--controller"),
    dataDir: option("--data-dir"),
    token: option("--token"),
    tlsCa: option("--tls-ca"),
    tlsCert: option("--tls-cert"),
    tlsKey: option("--tls-key"),
  };
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value)) as ControllerOptions;
  const { withController } = await import("../runs/controller.js");
  try {
    const { runs } = await withController(options, (controller) => controller.listRuns({}, { timeoutMs: patienceMs }));
    const listed = runs.map(({ runId, state, step, totalSteps }) => ({
      word: runId,
      meaning: `${RunState[state].toLowerCase()}, step ${step}/${totalSteps}`,
    }));
    return listed.length ? [{ word: "last", meaning: "the newest run" }, ...listed] : [];
  } catch {
    // Whoever completes a word isn't told of a controller that is away.
    return [];
  }
}

function print({ kind, words }: Suggestion): void {
  console.log([kind, ...words.map(({ word, meaning }) => `${word}\t${meaning.replace(/\s+/g, " ")}`)].join("\n"));
}
