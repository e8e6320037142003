import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { parameterCount } from "../../services/shared/ml/models/model-params.js";
import { characterTokenizer } from "../../services/shared/ml/text/character-tokenizer.js";
import { rss } from "../bench/processes.js";
import { type Served, startOurs } from "../bench/served.js";

const isKnown = rss(process.pid) !== undefined;
if (!isKnown) console.log("skipped: how much memory teachers and students hold; it is read from /proc, which Linux has");

/** A million positions: rotary tables of that length would be 512 MB. */
const config = {
  ...{ model_type: "llama", vocab_size: 8192, hidden_size: 256, intermediate_size: 1024, num_hidden_layers: 8 },
  ...{ num_attention_heads: 4, num_key_value_heads: 4, max_position_embeddings: 1_000_000, rms_norm_eps: 1e-5 },
  ...{ tie_word_embeddings: true, eos_token_id: 2 },
};
const load = { batch: 2, prompt: 8, fresh: 8, repetitions: 1 };

(isKnown ? describe : describe.skip)("the memory of a process with a model", () => {
  let directory = "";
  let weights = 0;
  let work: Served | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-memory-"));
    const model = initModel(config, characterTokenizer("abc"), 1n);
    weights = 4 * parameterCount(model.config);
    await saveModel(directory, model);
  });
  afterEach(() => work?.stop());
  afterAll(() => rm(directory, { recursive: true }));

  const held = () => rss(work!.pid)!;
  async function start(kind: "score" | "sample", dtype = "float32"): Promise<Served> {
    work = startOurs(kind, kind, { directory, load, dtype });
    return work;
  }

  it.each(["float32", "bfloat16"])(
    "a %s teacher grows by less than its weights over twenty values of k and over all signals",
    async (dtype) => {
      const { ask } = await start("score", dtype).then((teacher) => ({ ask: (signal: object) => teacher.ask(JSON.stringify(signal)) }));
      const kinds = ["top_k", "random_k", "full", "hidden", "sampled"];
      for (const kind of kinds) await ask({ kind, k: 4, temperature: 1 });
      const before = held();
      expect(before).toBeLessThan(2 ** 28 + 2 * weights);
      for (let k = 1; k <= 20; k++) await ask({ kind: "top_k", k, temperature: 1 });
      for (const kind of kinds) await ask({ kind, k: 30, temperature: 1 + kinds.indexOf(kind) });
      expect(held() - before).toBeLessThan(weights);
    },
  );

  it("a student grows by less than its weights over twenty settings of sampling", async () => {
    const student = await start("sample");
    for (let i = 0; i < 2; i++) await student.ask(JSON.stringify({ topK: 3 }));
    const before = held();
    expect(before).toBeLessThan(2 ** 28 + 2 * weights);
    for (let i = 1; i <= 20; i++)
      await student.ask(JSON.stringify({ topK: i, topP: 1 - i / 50, temperature: i / 10, maxNewTokens: 1 + (i % 8) }));
    expect(held() - before).toBeLessThan(weights);
  });
});
