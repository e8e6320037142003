import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toInt32 } from "../../services/shared/flow/arrays.js";
import { type Run, RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { saveModel } from "../../services/shared/ml/models/files/model-files.js";
import { initModel } from "../../services/shared/ml/models/model.js";
import { fixtureTokenizer } from "../support/models/encoder-fixtures.js";
import { LocalCluster } from "../support/runs/local-run.js";
import { expectClear, retort } from "../support/runs/retort.js";

/** Llama 3's form, with a clock and a switch. */
const template = [
  "{{- bos_token }}{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' + strftime_now('%Y-%m-%d %H:%M:%S') }}",
  "{%- if think is defined %}{{- ' think=' + think | string }}{%- endif %}{{- '<|eot_id|>' }}",
  "{%- for m in messages %}{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{%- endfor %}",
  "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
].join("");
const tokenizer = fixtureTokenizer("bytes-start", template);
const start = tokenizer.tokenToId("<|begin_of_text|>")!;
const end = tokenizer.tokenToId("<|eot_id|>")!;

/** Seconds of a time in the process's own zone, as the template writes it. */
const clock = ({ created }: Run): string => {
  const date = new Date(Number(created!.seconds) * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const [day, time] = [
    [date.getFullYear(), date.getMonth() + 1, date.getDate()],
    [date.getHours(), date.getMinutes(), date.getSeconds()],
  ];
  return `${day!.map(two).join("-")} ${time!.map(two).join(":")}`;
};

const rows = [
  {
    messages: [
      { role: "user", content: "hello" },
      { role: "assistant", content: "hi there" },
    ],
  },
  {
    messages: [
      { role: "user", content: "12345" },
      { role: "assistant", content: "done" },
    ],
    chat_template_kwargs: { think: 1 },
  },
];

describe("a run on conversations", () => {
  let cluster: LocalCluster;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-conversations-"));
    const config = { model_type: "llama", vocab_size: tokenizer.size, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 };
    const raw = { ...config, num_attention_heads: 2, max_position_embeddings: 256, eos_token_id: end, initializer_range: 0.2 };
    for (const [name, seed] of [
      ["student", 1n],
      ["teacher", 2n],
    ] as const)
      await saveModel(join(directory, name), initModel(raw, tokenizer, seed));
    await writeFile(join(directory, "rows.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
    await writeFile(join(directory, "plain.jsonl"), '{"prompt": "347=", "completion": "three"}\n');
    cluster = await LocalCluster.start();
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  const spec = (data: string, more = "") => `
name: chat
student: { model: ${directory}/student }
teachers: [{ model: ${directory}/teacher }]
data: { path: ${directory}/${data}${more} }
rollouts: { maxStaleness: 0 }
evaluation: { path: ${directory}/${data} }
phases:
  - { preset: gkd, lambda: 0, steps: 1, batchSize: 2, sampling: { maxNewTokens: 4 } }
  - { preset: gkd, lambda: 1, steps: 1, batchSize: 2, sampling: { maxNewTokens: 4 } }
`;
  const show = async (data: string, more = "", ...flags: string[]) => {
    await writeFile(join(directory, "spec.yaml"), spec(data, more));
    return retort(["data", join(directory, "spec.yaml"), ...flags]);
  };

  it("learns, samples and measures with the ids that the template writes, at the run's own time", async () => {
    const flowing = cluster.gather();
    const { run } = await cluster.watch(await cluster.begin(spec("rows.jsonl")));
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const head = `<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n${clock(run)}`;
    const prompts = ["hello", "12345"].map(
      (content, i) =>
        `${head}${i === 1 ? " think=1" : ""}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n${content}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n`,
    );
    expect(new Set(flowing.map(({ promptText }) => promptText))).toEqual(new Set(prompts));
    for (const { promptText, promptIds } of flowing) {
      const ids = toInt32(promptIds, "promptIds");
      expect([...ids]).toEqual([...tokenizer.encode(promptText)]);
      expect(ids.filter((id) => id === start)).toHaveLength(1);
    }
    const learnt = flowing.filter(({ samplerLogprobs }) => !samplerLogprobs);
    const answers = learnt.map(({ completionIds }) => tokenizer.decode(toInt32(completionIds, "completionIds"), { skipSpecial: false }));
    expect(answers.sort()).toEqual(["done<|eot_id|>", "hi there<|eot_id|>"]);
  });

  it("puts plain rows into the template where it is asked to", async () => {
    const flowing = cluster.gather();
    const { run } = await cluster.watch(
      await cluster.begin(spec("plain.jsonl", ', chat: true, system: "be brief", chatTemplateKwargs: { think: true }')),
    );
    expect([run.state, run.message]).toEqual([RunState.SUCCEEDED, ""]);
    const [text] = new Set(flowing.map(({ promptText }) => promptText));
    expect(text).toContain("think=True<|eot_id|><|start_header_id|>system<|end_header_id|>\n\nbe brief<|eot_id|>");
    expect(text).toContain("<|start_header_id|>user<|end_header_id|>\n\n347=<|eot_id|>");
  });

  it("shows its rows as they will be learnt", async () => {
    const { stdout, code } = await show("rows.jsonl", "", "--json");
    expect(code).toBe(0);
    const { rows: count, usable, shown } = JSON.parse(stdout);
    expect([count, usable, shown.length]).toEqual([2, 2, 2]);
    const [{ ids, mask, completion }] = shown as [{ ids: number[]; mask: number[]; completion: string }];
    expect(completion).toBe("hi there<|eot_id|>");
    expect(
      tokenizer.decode(
        ids.filter((_, i) => mask[i]),
        { skipSpecial: false },
      ),
    ).toBe(completion);
    const one = await show("rows.jsonl", "", "--row", "2");
    expect(one.stdout).toMatch(/^row 2 \(.*rows\.jsonl line 2\)/);
    expect(one.stdout).toMatch(/learnt +\d+ "<\|eot_id\|>"/);
  });

  it("is refused before it starts where a template fails or a setting is not read, by row and reason", async () => {
    await writeFile(join(directory, "odd.jsonl"), `${JSON.stringify(rows[0])}\n{"messages": [{"role": "user", "content": 3}]}\n`);
    await expect(cluster.begin(spec("odd.jsonl"))).rejects.toThrow(/odd\.jsonl line 2/);
    await expect(cluster.begin(spec("rows.jsonl", ", chatTemplateKwargs: { enable_thinking: false }"))).rejects.toThrow(
      /rows\.jsonl line 1 is refused: the chat template does not read enable_thinking; it reads think/,
    );
    await expect(cluster.begin(spec("plain.jsonl", ', system: "be brief"'))).rejects.toThrow(/system would not be read/);
    const refused = await show("plain.jsonl", ", chatTemplate: tool_use");
    expect([refused.code, refused.stdout]).toEqual([
      64,
      expect.stringMatching(/refused: .*plain\.jsonl line 1: chatTemplate would not be read/),
    ]);
  });

  it("names what is wrong with a command", async () => {
    expectClear(await show("rows.jsonl", "", "--row", "3"), /--row is 3, and .* has 2 rows/);
    expectClear(await show("nothing.jsonl"), /nothing\.jsonl cannot be read/);
  });
});
