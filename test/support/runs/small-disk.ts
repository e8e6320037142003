import { spawnSync } from "node:child_process";

/** Whether this system lets us mount a small disk of our own, which needs Linux with user namespaces. */
export const canMount =
  spawnSync("unshare", ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

/** What {@link onSmallDisk} is told. */
export interface SmallDisk {
  /** A directory, in whose place the disk is for the program alone. */
  readonly directory: string;
  readonly freeBytes: number;
  /** A file outside of it: when it is there, the disk has room for all. */
  readonly roomFile: string;
}

const wholeBytes = 64 << 20;

/** A command that runs a program with a small disk in the place of a directory. */
export const onSmallDisk = ({ directory, freeBytes, roomFile }: SmallDisk, command: readonly string[]): string[] => [
  ...["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"],
  `mount -t tmpfs -o size=${wholeBytes} tmpfs "$0" && head -c ${wholeBytes - freeBytes} /dev/zero > "$0/filler" || exit 1
   (while [ ! -e "$1" ]; do sleep 0.1; done; rm "$0/filler") &
   shift; exec "$@"`,
  directory,
  roomFile,
  ...command,
];
