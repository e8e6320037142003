import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { findNatsServer } from "../../../services/shared/base/nats-server.js";
import { command, shell } from "./commands.js";

/** The images of an installation, each as repository:tag. */
export interface Images {
  readonly retort: string;
  readonly nats: string;
}

const docker = process.env.RETORT_DOCKER ?? "docker";

/**
 * Builds both images from what this machine has, without a registry: a base of its node and the libraries that node and
 * onnxruntime are linked to, Retort on it, and nats-server on nothing.
 */
export async function buildImages(tag: string): Promise<Images> {
  const images = { retort: `retort:${tag}`, nats: `retort-nats:${tag}` };
  const base = process.env.RETORT_IMAGE_BASE ?? (await baseImage(`retort-base:${tag}`));
  const network = process.env.RETORT_IMAGE_NETWORK;
  await shell(
    `node dist/deploy/image.js --docker ${docker} --tag ${images.retort} --base ${base}${network ? ` --network ${network}` : ""} >&2`,
  );
  const natsServer = await findNatsServer((sentence) => console.error(sentence));
  await imageOf(images.nats, [await command("which", [natsServer]).catch(() => natsServer)]);
  return images;
}

async function baseImage(name: string): Promise<string> {
  const native = `node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}`;
  await imageOf(name, [process.execPath], [join(native, "onnxruntime_binding.node"), join(native, "libonnxruntime.so.1")]);
  return name;
}

/** An image of programs (in /usr/bin) with every library that they, and `others`, are linked to. */
async function imageOf(name: string, programs: readonly string[], others: readonly string[] = []): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "retort-image-"));
  try {
    for (const directory of ["usr/bin", "etc", "tmp", "app"]) mkdirSync(join(root, directory), { recursive: true });
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/sbin/nologin\nretort:x:1000:1000::/app:/sbin/nologin\n");
    writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
    for (const program of programs) cpSync(realpathSync(program), join(root, "usr/bin", basename(program)));
    for (const library of await librariesOf([...programs, ...others])) {
      mkdirSync(join(root, dirname(library)), { recursive: true });
      cpSync(realpathSync(library), join(root, library));
    }
    await shell(`tar -C ${root} -c . | ${docker} import -c 'ENV PATH=/usr/bin' - ${name} >&2`);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Paths of the system's libraries that files are linked to, and of those that glibc opens by itself to resolve names. */
async function librariesOf(files: readonly string[]): Promise<string[]> {
  const printed = await Promise.all(files.map((file) => command("ldd", [file]).catch(() => "")));
  const found = new Set(printed.flatMap((text) => [...text.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path]) => path!)));
  const glibc = [...found].find((path) => path.endsWith("/libc.so.6"));
  if (glibc) found.add(join(dirname(glibc), "libresolv.so.2"));
  return [...found].filter((path) => !path.includes("node_modules"));
}
