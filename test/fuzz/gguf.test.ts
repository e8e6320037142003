import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NeedMore } from "../../services/shared/ml/models/gguf/header/byte-reader.js";
import { parseHeader } from "../../services/shared/ml/models/gguf/header/read-gguf.js";
import { withGguf } from "../../services/shared/ml/models/gguf/import-gguf.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { fuzz, outcomeOf, secret } from "../support/fuzz/cases.js";
import type { Random } from "../support/fuzz/random.js";
import { changedGguf, type TypedValue } from "../support/models/gguf-bytes.js";

const whole = changedGguf({ "general.name": { text: secret }, "general.alignment": { u32: 32 } });

/** Numbers that mean something to a format of lengths and offsets. */
const telling = [0n, 1n, 7n, 31n, 33n, 0x7fffffffn, 0xffffffffn, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

/** A copy in which eight bytes anywhere are such a number. */
function withNumber(random: Random): Buffer {
  const copy = Buffer.from(whole);
  copy.writeBigUInt64LE(random.pick(telling), random.int(copy.length - 8));
  return copy;
}

/** A file that is well formed, with a key of another type or size. */
function withOtherKey(random: Random): Buffer {
  const keys = ["llama.block_count", "llama.attention.head_count", "llama.context_length", "general.alignment", "tokenizer.ggml.tokens"];
  const values: readonly TypedValue[] = [
    ...[{ u32: 0 }, { u32: 0xffffffff }, { f32: Number.NaN }, { bool: true }, { text: "" }, { u64: 2n ** 64n - 1n }],
    ...[{ texts: ["", "", "a"] }, { i32s: [] }, { f32s: [Number.POSITIVE_INFINITY] }],
  ];
  const more = ["tokenizer.ggml.token_type", "tokenizer.ggml.merges", "general.architecture", "llama.rope.freq_base", "tokenizer.ggml.pre"];
  return changedGguf({ [random.pick([...keys, ...more])]: random.pick(values) });
}

const changed = (random: Random): Buffer => random.pick([withNumber, withOtherKey, () => mutatedBytes(random, whole)])(random);

describe("a GGUF file that may be anything", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-fuzz-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it("is refused, or its tensors lie apart within it", () =>
    fuzz("GGUF headers", 1500, async (random) => {
      const file = changed(random);
      const outcome = await outcomeOf(() => parseHeader(file, file.length, "x.gguf"));
      if ("refusal" in outcome) return;
      const places = outcome.value.tensors.filter(({ bytes }) => bytes > 0).sort((a, b) => a.start - b.start);
      for (const [i, { name, start, bytes, shape, type }] of places.entries()) {
        const elements = shape.reduce((a, b) => a * b, 1);
        if (start + bytes > file.length || start < (places[i - 1]?.start ?? 0) + (places[i - 1]?.bytes ?? 0))
          throw new Error(`${name} lies where no tensor can`);
        if (!type.block || bytes !== (elements / type.block.elements) * type.block.bytes) throw new Error(`${name} has ${bytes} bytes`);
      }
    }));

  it("is read in parts that end anywhere as a whole", () =>
    fuzz("GGUF headers in parts", 300, (random) => {
      const part = whole.subarray(0, random.int(whole.length));
      try {
        const { tensors } = parseHeader(part, whole.length, "x.gguf");
        if (tensors.length !== 11) throw new Error(`${tensors.length} tensors`);
      } catch (error) {
        if (!(error instanceof NeedMore) || error.bytes <= part.length) throw error;
      }
    }));

  it("is refused, or planned as a model that Retort computes", () =>
    fuzz("GGUF imports", 300, async (random) => {
      const path = join(directory, "x.gguf");
      await writeFile(path, changed(random));
      await outcomeOf(() => withGguf(path, {}, async (_, { parameters }) => parameters));
    }));
});
