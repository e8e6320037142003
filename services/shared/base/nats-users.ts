import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RetortError } from "./errors.js";
import { readRegularSync } from "./regular-files.js";

/** What a user of NATS may do: subjects, with wildcards. What is denied wins over what is allowed. */
export interface NatsPermissions {
  readonly publish: { readonly allow: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
}

/** The users of a nats-server by name: one per role. */
export type NatsUsers = Readonly<Record<string, NatsPermissions>>;

/** Where a role receives answers; no other role may listen there. */
export const inboxOf = (user: string): string => `_INBOX_${user}`;

const shortest = 16;
const longest = 4096;

/**
 * Gives each user a password, in a file of its name under `directory/logins` that the owner alone may read, and writes
 * the users with their permissions to `directory/users.conf`. Passwords that are there stay.
 *
 * @returns the directory with the passwords, and the line of the server's configuration that lets the users in
 */
export async function natsUsers(directory: string, users: NatsUsers): Promise<{ readonly logins: string; readonly config: string }> {
  const logins = join(directory, "logins");
  await mkdir(logins, { recursive: true, mode: 0o700 });
  await chmod(logins, 0o700);
  const entries: string[] = [];
  for (const [user, permissions] of Object.entries(users)) {
    const password = await passwordOf(join(logins, user));
    entries.push(JSON.stringify({ user, password, permissions }));
  }
  await writePrivate(join(directory, "users.conf"), `authorization { users: [\n${entries.join(",\n")}\n] }\n`);
  return { logins, config: "include users.conf" };
}

async function passwordOf(path: string): Promise<string> {
  const kept = (await readFile(path, "utf8").catch(() => "")).trim();
  const password = kept.length >= shortest && kept.length <= longest ? kept : randomBytes(24).toString("base64url");
  await writePrivate(path, `${password}\n`);
  return password;
}

async function writePrivate(path: string, text: string): Promise<void> {
  // The mode counts where the file is made; one that is there may have been opened to others.
  await writeFile(path, "", { flag: "a", mode: 0o600 });
  await chmod(path, 0o600);
  await writeFile(path, text);
}

/** A user and its password. */
export interface NatsLogin {
  readonly user: string;
  readonly pass: string;
}

/**
 * Reads a role's login: the file of its name in the directory of logins holds the password.
 *
 * @throws FailedPrecondition naming the file if it cannot be read or holds none
 */
export function readLogin(logins: string, user: string): NatsLogin {
  const path = join(logins, user);
  const wrong = (why: string, cause?: unknown) =>
    new RetortError("FailedPrecondition", `the NATS password of ${user} cannot be read from ${path}: ${why}; check --nats-logins`, {
      cause,
    });
  let pass: string;
  try {
    pass = readRegularSync(path, longest).toString().trim();
  } catch (error) {
    throw wrong((error as Error).message, error);
  }
  if (!pass) throw wrong("it is empty");
  return { user, pass };
}
