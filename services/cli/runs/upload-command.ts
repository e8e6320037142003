import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { RetortError } from "../../shared/base/errors.js";
import { ListUploadsResponseSchema, type Upload } from "../../shared/gen/retort/v1/controller_pb.js";
import { addCommand, print } from "../command.js";
import type { ControllerClient } from "../local.js";
import { type Column, textTable } from "../terminal/text-table.js";
import { type ControllerOptions, controllerOptions, withController } from "./controller.js";
import { uploadShown } from "./upload.js";

const columns: readonly Column[] = [
  { name: "reference", rank: 3 },
  { name: "uploaded (UTC)" },
  { name: "files", align: "right" },
  { name: "size", align: "right", rank: 2 },
  { name: "first file", rank: 0 },
];

/** Adds `retort upload` and `retort uploads`. */
export function addUploadCommands(program: Command): void {
  controllerOptions(
    addCommand(program, "Runs:", "upload <path...>", "send models and data to the controller, and print how specs name them", [
      ["upload ./student train.jsonl", "a reference each: upload://…; `retort run SPEC --upload` does it for all that a spec names"],
      ["upload ./student --controller cluster:7070", "what is there is not sent again; what was cut off goes on"],
    ]),
  ).action((paths: string[], options: ControllerOptions) =>
    withController(options, async (controller) => {
      const references: string[] = [];
      for (const path of paths) references.push(await uploadShown(controller, path));
      print(program, references, references.join("\n"));
    }),
  );
  controllerOptions(
    addCommand(program, "Runs:", "uploads", "list what was uploaded to the controller, or remove some of it", [
      ["uploads", "newest first"],
      ["uploads --remove upload://…", "if no run that is going reads it"],
    ]),
  )
    .option("--remove <reference...>", "remove these")
    .action((options: ControllerOptions & { readonly remove?: readonly string[] }) =>
      withController(options, (controller) => (options.remove ? remove(program, controller, options.remove) : list(program, controller))),
    );
}

async function list(program: Command, controller: ControllerClient): Promise<void> {
  const answer = await controller.listUploads({});
  const { uploads, bytes, maxBytes } = answer;
  print(program, toJson(ListUploadsResponseSchema, answer), uploads.length ? textTable(columns, uploads.map(row), process.stdout) : "");
  console.error(
    `${uploads.length ? "" : "nothing was uploaded; "}${bytesInWords(Number(bytes))} of ${bytesInWords(Number(maxBytes))} are taken`,
  );
}

function row({ reference, created, files, sizeBytes, first }: Upload): string[] {
  const time = created ? new Date(Number(created.seconds) * 1000).toISOString().slice(0, 19).replace("T", " ") : "";
  return [reference, time, String(files), bytesInWords(Number(sizeBytes)), first];
}

async function remove(program: Command, controller: ControllerClient, references: readonly string[]): Promise<void> {
  let freed = 0;
  const failed: RetortError[] = [];
  for (const reference of references)
    await controller.deleteUpload({ reference }).then(
      ({ freedBytes }) => {
        freed += Number(freedBytes);
      },
      (error: unknown) => failed.push(RetortError.from(error)),
    );
  if (failed[0])
    throw failed.length === 1
      ? failed[0]
      : RetortError.ofProblems(
          "retort uploads",
          failed.map(({ message }) => ({ fieldPath: "", description: message })),
          failed[0].code,
        );
  print(program, { removed: references, freedBytes: freed }, `${bytesInWords(freed)} are free again`);
}
