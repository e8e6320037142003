import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSendable } from "../../../../../services/shared/flow/weights/sendable.js";

describe("openSendable()", () => {
  let base: string;
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "retort-sendable-"));
  });
  afterEach(() => rm(base, { recursive: true }));

  const namesOf = async (directory: string) => {
    const found = await openSendable(directory);
    for (const { file } of found) await file.close();
    return found.map(({ name, bytes }) => [name, bytes]);
  };

  it("opens what a model's directory holds, named templates too, and nothing else that lies there", async () => {
    await mkdir(join(base, "additional_chat_templates"));
    await mkdir(join(base, "vocab.json"));
    const model = ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "additional_chat_templates/rag.jinja"];
    const foreign = ["id_rsa", ".env", "optimizer.safetensors", "state.json", "other.safetensors", "config.json.bak", "notes.jinja"];
    for (const name of [...model, ...foreign, "additional_chat_templates/key.pem"]) await writeFile(join(base, name), name);
    expect(await namesOf(base)).toEqual(model.sort().map((name) => [name, name.length]));
  });

  it("follows no link, wherever it leads", async () => {
    await writeFile(join(base, "secret"), "private key");
    await mkdir(join(base, "output"));
    await symlink("../secret", join(base, "output/config.json"));
    await symlink("/etc/passwd", join(base, "output/tokenizer.json"));
    await symlink(base, join(base, "output/additional_chat_templates"));
    await writeFile(join(base, "output/model.safetensors"), "w");
    expect(await namesOf(join(base, "output"))).toEqual([["model.safetensors", 1]]);
  });
});
