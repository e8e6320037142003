import { once } from "node:events";
import type { Command } from "commander";
import { type Serving, whenServing } from "../shared/base/ready.js";
import { addCommand, wantsJson } from "./command.js";
import { spawnRole } from "./local.js";
import { supervisor } from "./supervise.js";

/** Adds `retort serve`: one role as a process of its own, in the foreground. */
export function addServeCommand(program: Command): void {
  addCommand(
    program,
    "Models and data:",
    "serve <role> [settings...]",
    "run one role alone, until Ctrl-C: student, teacher, reward, learner or controller",
    [
      ["serve teacher --model DIR --port 7071", "a scoring server for any program"],
      ["serve reward --port 7072", "a server of the built-in rewards"],
      ["serve student --model DIR --openai --openai-port 8000", "OpenAI's API besides: completions, chat, models"],
      ["serve teacher --help", "the settings of that role"],
      ["serve --json teacher --model DIR", "its address as JSON, once it serves"],
    ],
  )
    .passThroughOptions()
    .allowUnknownOption()
    .action((role: string, settings: string[]) => {
      const rest = settings.filter((setting) => setting !== "--json");
      return serve(role, withOpenai(rest), wantsJson(program) || rest.length < settings.length);
    });
}

/** `--openai` is short for a free --openai-port; beside one it says nothing new. */
function withOpenai(settings: readonly string[]): string[] {
  const rest = settings.filter((setting) => setting !== "--openai");
  const isNamed = rest.some((setting) => /^--openai-port(=|$)/.test(setting));
  return rest.length === settings.length || isNamed ? rest : [...rest, "--openai-port=0"];
}

async function serve(role: string, settings: readonly string[], json: boolean): Promise<void> {
  const child = spawnRole(role, [...settings, ...(json ? ["--log-format=json"] : [])]);
  // Why it does not serve is in its log, which is this terminal's.
  if (json)
    whenServing(child).then(
      (serving) => announce(role, child.pid, serving),
      () => {},
    );
  const exited = once(child, "exit");
  // A role knows by itself how long it may take.
  const stop = async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await exited;
  };
  supervisor.add({ stop, kill: () => child.kill("SIGKILL") });
  const [code] = await exited;
  await supervisor.ending;
  process.exit(code ?? 1);
}

function announce(role: string, pid: number | undefined, serving: Serving): void {
  const { host, grpcPort, healthPort, metricsPort, openaiPort } = serving;
  const openai = openaiPort === undefined ? {} : { openai: `${host}:${openaiPort}` };
  console.log(JSON.stringify({ role, pid, address: `${host}:${grpcPort}`, ...openai, healthPort, metricsPort }));
}
