import { Argument, type Command } from "commander";
import { addCommand } from "../command.js";
import { type Shell, scripts } from "./scripts.js";

/** Adds `retort completion`. */
export function addCompletionCommand(program: Command): void {
  addCommand(program, "Start here:", "completion", "print what a shell sources to complete commands, options and runs", [
    ["completion bash", "for ~/.bashrc: source <(retort completion bash)"],
    ["completion zsh", "for ~/.zshrc, behind compinit: source <(retort completion zsh)"],
    ["completion fish", "for ~/.config/fish/completions/retort.fish"],
  ])
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .action((shell: Shell) => void process.stdout.write(scripts[shell]));
}
