import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { endOfFile } from "../../shared/base/end-of-file.js";
import { RetortError } from "../../shared/base/errors.js";

/** The end of a process's log: whole lines. */
export interface LogEnd {
  readonly name: string;
  readonly role: string;
  readonly text: string;
}

/** Reads the ends of the logs of a run's processes. @param role of one role alone; empty for all @param maxBytes of each */
export type ReadLogs = (runId: string, role: string, maxBytes: number) => Promise<LogEnd[]>;

const roles = ["learner", "reward", "student", "teacher"];

/** The logs of processes of this machine, which lie in their run's directory. */
export const logsUnder =
  (dataDir: string): ReadLogs =>
  async (runId, role, maxBytes) => {
    checkRole(role);
    const directory = join(dataDir, "runs", runId, "logs");
    const files = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith(".log")).sort();
    const named = files.map((file) => ({ file, name: file.replace(/\.log$/, ""), role: roles.find((one) => file.startsWith(one)) ?? "" }));
    const wanted = named.filter((one) => role === "" || one.role === role);
    return Promise.all(wanted.map(async ({ file, ...log }) => ({ ...log, text: await endOfFile(join(directory, file), maxBytes) })));
  };

/** The logs of pods, which their cluster keeps. */
export const logsOfPods =
  (namespace: string): ReadLogs =>
  async (runId, role) => {
    checkRole(role);
    const component = role ? `,app.kubernetes.io/component=${role}` : "";
    throw new RetortError(
      "Unimplemented",
      `the cluster keeps the logs of pods: kubectl logs -n ${namespace} -l retort/run=${runId}${component} --tail=200 --prefix`,
    );
  };

function checkRole(role: string): void {
  if (role && !roles.includes(role))
    throw new RetortError("InvalidArgument", `role is "${role}"; it must be one of ${roles.join(", ")}, or left out for all`, {
      fieldPath: "role",
    });
}
