import type { Command } from "commander";

/** Adds `retort demo`. */
export function addDemoCommand(program: Command): void {
  program.command("demo").description("the main job in three minutes: distil on-policy, compare, report");
}
