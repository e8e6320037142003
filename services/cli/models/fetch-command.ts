import type { Command } from "commander";
import { addCommand, print } from "../command.js";

/** Adds `retort fetch`. What it names is fetched before any command runs: so it only says where that is. */
export function addFetchCommand(program: Command): void {
  addCommand(
    program,
    "Models and data:",
    "fetch <reference...>",
    "fetch models and data from a hub, into the cache of Hugging Face's libraries",
    [
      ["fetch hf://OWNER/NAME", "prints the model's directory; every command takes the reference itself, too"],
      ["fetch hf://OWNER/NAME@REVISION hf://datasets/OWNER/NAME/train.parquet", "a commit, and a file of a dataset"],
    ],
  ).action((places: string[]) => print(program, places, places.join("\n")));
}
