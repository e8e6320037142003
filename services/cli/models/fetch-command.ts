import type { Command } from "commander";
import { RetortError } from "../../shared/base/errors.js";
import { isDirectory } from "../../shared/base/is-directory.js";
import { baseNamedBy } from "../../shared/flow/runs/base-model.js";
import { addCommand, print } from "../command.js";

/** Says of an adapter that its base model isn't there: a path of another machine, that no reference leads to. */
async function sayWithoutBase(place: string): Promise<void> {
  const base = await baseNamedBy(place);
  if (base === undefined || (await isDirectory(base))) return;
  console.error(
    `${place} is an adapter of ${base}, which is neither a directory here nor a hub's OWNER/NAME; make one model of both: retort export ${place} --merged --base BASE --out DIR`,
  );
}

/** Adds `retort fetch`. What it names is fetched before any command runs: so it only says where that is. */
export function addFetchCommand(program: Command): void {
  addCommand(
    program,
    "Models and data:",
    "fetch <reference...>",
    "fetch models and data from a hub, S3 or a run, and print where they are",
    [
      ["fetch hf://OWNER/NAME", "prints the model's directory, an adapter's with its base; every command takes the reference itself, too"],
      ["fetch hf://OWNER/NAME@REVISION hf://datasets/OWNER/NAME/train.parquet", "a commit, and a file of a dataset"],
      ["fetch s3://BUCKET/models/student", "what lies below a prefix; AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL … as for Amazon's tools"],
      ["fetch run://last/best run://my-run/40", "the best student of the newest run, and that after step 40"],
    ],
  )
    .option("--without-weights", "of models only tokenizers and configs")
    .option("--bases <reference...>", "base models of adapters at the revisions that are meant, instead of those that the adapters name")
    .option("--at <path...>", "fail unless each reference lies at its path: what was there before may have been replaced")
    .action(async (places: string[], { at }: FetchOptions) => {
      if (at) checkPlaces(places, at);
      for (const place of places) await sayWithoutBase(place);
      print(program, places, places.join("\n"));
    });
}

interface FetchOptions {
  readonly at?: readonly string[];
}

/** @throws InvalidArgument unless there are as many places as references; FailedPrecondition naming what lies elsewhere */
function checkPlaces(places: readonly string[], expected: readonly string[]): void {
  if (places.length !== expected.length)
    throw new RetortError("InvalidArgument", `--at names ${expected.length} paths for ${places.length} references; give one for each`);
  for (const [i, place] of places.entries())
    if (place !== expected[i])
      throw new RetortError(
        "FailedPrecondition",
        `what was to be fetched lies at ${place}, and ${expected[i]} was expected: it has been replaced since, or the cache is another directory (HF_HOME, XDG_CACHE_HOME)`,
      );
}
