import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import type { WorkerHandle } from "../../services/shared/base/workers.js";
import type { ModelHost } from "../../services/shared/ml/host/model-host.js";
import { spawnModelHost } from "../../services/shared/ml/host/spawn.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { fuzz, outcomeOf, within } from "../support/fuzz/cases.js";
import type { Random } from "../support/fuzz/random.js";
import { mutatedJson } from "../support/fuzz/structures.js";

const original = resolve("deploy/examples/num2words/models/student");
const options = { device: "cpu", threads: 1, chunkTokens: 8, maxRows: 4, batchTokens: 64 } as const;
const chat = { chat: true, system: "brief", chatTemplateKwargs: {}, chatTemplate: "", nowMs: 0 };
const conversation = { messages: [{ role: "user", content: "12" }] };

/** Pieces of which templates are made, whole and broken, some of them greedy. */
const pieces = [
  "{% for m in messages %}{{ m.role }}: {{ m['content'] }}\n{% endfor %}",
  "{% if add_generation_prompt %}A:{% endif %}",
  "{% for i in range(10**9) %}x{% endfor %}",
  "{{ 'a' * 10**9 }}",
  "{{ ('a' * 1000).replace('a', 'b' * 10000000) }}",
  "{{ '%1000000000d' % 1 }}",
  "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
  "{{ messages | map(attribute='content') | join(',') }}",
  "{{ messages[0].constructor.constructor('return process')() }}",
  "{{ ''.__class__.__mro__ }}",
  "{{ raise_exception('no') }}",
  "{% set ns = namespace(x=0) %}{% for a in range(100000) %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ ns.x }}",
  "{% for a in range(3000) %}{% for b in range(3000) %}{% endfor %}{% endfor %}",
  "{{ [[[]]] | tojson(indent=1000000000) }}",
  "{{ range(10**8) | list | length }}",
  "{{ 9 ** 9 ** 9 }}",
  "{% include 'x' %}",
  "{{ x",
  "{% endfor %}",
  "{#",
  "{{ strftime_now('%Y' * 100000) }}",
];

interface Case {
  readonly file: string;
  readonly bytes: Buffer;
}

describe("the small files of a model, which may hold anything", () => {
  let directory: string;
  let texts: Record<string, Buffer>;
  let host: WorkerHandle<ModelHost>;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
    await cp(original, directory, { recursive: true });
    const index = { metadata: { total_size: 1 }, weight_map: {} as Record<string, string> };
    const weights = await readFile(join(original, "model.safetensors"));
    const header = JSON.parse(weights.subarray(8, 8 + Number(weights.readBigUInt64LE())).toString()) as Record<string, unknown>;
    for (const name of Object.keys(header)) if (name !== "__metadata__") index.weight_map[name] = "model.safetensors";
    texts = { "model.safetensors.index.json": Buffer.from(JSON.stringify(index)) };
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"]) texts[name] = await readFile(join(original, name));
    host = spawnModelHost();
  });
  afterAll(async () => {
    await host.terminate();
    await rm(directory, { recursive: true });
  });

  function changed(random: Random): Case {
    const file = random.pick(["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json", "template"]);
    if (file === "template") {
      const template = Array.from({ length: 1 + random.int(3) }, () => random.pick(pieces)).join(random.pick(["", " ", "\n"]));
      const text = random.chance(0.3) ? mutatedBytes(random, Buffer.from(template)).toString() : template;
      const config = { ...(JSON.parse(texts["tokenizer_config.json"]!.toString()) as object), chat_template: text };
      return { file: "tokenizer_config.json", bytes: Buffer.from(JSON.stringify(config)) };
    }
    const bytes = texts[file]!;
    if (random.chance(0.2)) return { file, bytes: mutatedBytes(random, bytes) };
    return { file, bytes: Buffer.from(JSON.stringify(mutatedJson(random, JSON.parse(bytes.toString()) as JsonValue))) };
  }

  /** Opens the directory and uses what it holds; a hang ends the thread. */
  async function use(): Promise<"used" | "refused"> {
    const work = outcomeOf(async () => {
      await host.api.open({ directory }, options);
      await host.api.encode(["12=", ""], { ...chat, chat: false });
      await host.api.encode(["12=", conversation], chat);
    });
    const crash = host.crashed.then((error) => Promise.reject(new Error(`the thread died: ${error.message}`)));
    crash.catch(() => {});
    try {
      return "refusal" in (await within(30_000, "the model", Promise.race([work, crash]))) ? "refused" : "used";
    } catch (error) {
      await host.terminate();
      host = spawnModelHost();
      throw error;
    }
  }

  it("are refused by name, or do their work, within bounds of time", async () => {
    const seen = { used: 0, refused: 0 };
    await fuzz("model files", 500, async (random) => {
      const { file, bytes } = changed(random);
      await writeFile(join(directory, file), bytes);
      try {
        seen[await use()]++;
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${file}: ${bytes.toString().slice(0, 1500)}`, { cause: error });
      } finally {
        if (texts[file] && file !== "model.safetensors.index.json") await writeFile(join(directory, file), texts[file]);
        else await rm(join(directory, file));
      }
    });
    if (process.env.RETORT_FUZZ_ONLY === undefined) expect(seen.refused).toBeGreaterThan(0);
    // What the files said of the model before is as true as ever.
    expect(await host.api.open({ directory }, options)).toEqual(await host.api.open({ directory: original }, options));
  });
});
