import type { Command } from "commander";
import { commandNames, makeProgram } from "../../../services/cli/program.js";

const program = await makeProgram(() => {});

/** What `--help` prints. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
  });
  command.outputHelp();
  return text;
}

describe("retort --help", () => {
  it("names every command", () => {
    const named = [...helpOf(program).matchAll(/^ {2}([a-z][a-z-]*) /gm)].map(([, name]) => name).filter((name) => name !== "retort");
    expect(named).toEqual(commandNames);
    expect(program.commands.map((command) => command.name())).toEqual(commandNames);
  });

  it.each(commandNames)("of %s ends with examples and knows --json", (name) => {
    const command = program.commands.find((one) => one.name() === name);
    expect(helpOf(command!)).toMatch(new RegExp(`--json[\\s\\S]*Examples:\\n  retort ${name}`));
  });
});
