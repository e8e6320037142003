/**
 * Starts a program, with its arguments, and ends it when standard input closes: the system closes a pipe when the last
 * process that holds its other end is gone, however that went. Ends with the program, by its code.
 */
import { spawn } from "node:child_process";

const graceMs = 5000;

const [program = "", ...argv] = process.argv.slice(2);
const child = spawn(program, argv, { stdio: "ignore" });

const end = () => {
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGKILL"), graceMs);
};

for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, end);
process.stdin.on("error", end).once("close", end).resume();

child.once("error", ({ message }) => {
  process.exitCode = 127;
  console.error(message);
  process.exit();
});
child.once("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  // The process that waits for the keeper must see the reason.
  for (const one of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.removeAllListeners(one);
  process.kill(process.pid, signal);
});
