import type { Command } from "commander";
import { errorTable } from "../../shared/base/errors.js";
import type { Device } from "../../shared/ml/runtime/session.js";
import { addCommand, print } from "../command.js";
import { deviceOption } from "../models/device-option.js";
import { textTable } from "../terminal/text-table.js";
import { examine, type Finding } from "./examine.js";

/** Adds `retort doctor`. */
export function addDoctorCommand(program: Command): void {
  addCommand(program, "Start here:", "doctor", "what this machine has for Retort, and what it lacks, each with its remedy", [
    ["doctor", "Node, memory, disk, nats-server, devices and their libraries"],
    ["doctor --device cuda", "the same; ends with code 78 unless cuda can be used"],
  ])
    .addOption(deviceOption("a device that must be usable"))
    .action(async ({ device }: { readonly device: Device }) => {
      const findings = await examine(device);
      print(program, findings, doctorText(findings));
      if (findings.some(({ state }) => state === "lacking")) process.exitCode = errorTable.FailedPrecondition.exit;
    });
}

function doctorText(findings: readonly Finding[]): string {
  const rows = findings.map(({ what, state, found }) => [what, state, found]);
  const remedies = findings.flatMap(({ what, remedy }) => (remedy ? [`${what}: ${remedy}`] : []));
  return [textTable(["what", "state", "found"], rows, process.stdout), ...remedies].join("\n");
}
