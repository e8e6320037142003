import { z } from "zod";
import { checkCount, type Dialect, given, inForm, plainSampling } from "./dialect.js";

const form = z.object({
  choices: z.array(
    z.object({
      index: z.number(),
      prompt_logprobs: z.array(z.record(z.string(), z.object({ logprob: z.number() })).nullable()),
    }),
  ),
});

/**
 * vLLM: completions with `prompt_logprobs` (vllm/entrypoints/openai/completion/protocol.py, 0.32). Of each token there are the k
 * most probable classes by id, and the given one besides where it is none of them. One token must be written, and is dropped.
 */
export const vllm: Dialect = {
  path: "completions",
  body: (model, asked, k) => ({
    model,
    prompt: asked.map(({ ids }) => ids),
    max_tokens: 1,
    prompt_logprobs: k,
    ...plainSampling,
  }),
  read: (answer, asked) => {
    const { choices } = inForm(form, answer);
    checkCount(choices.length, asked.length, "choices");
    const inOrder = [...choices].sort((a, b) => a.index - b.index);
    return inOrder.map(({ prompt_logprobs: told }, i) => {
      const { ids, from } = asked[i]!;
      checkCount(told.length, ids.length, `prompt_logprobs of choice ${i}`);
      return told.slice(from).map((classes, n) => {
        const id = ids[from + n]!;
        const logprob = given(classes?.[id]?.logprob, `token ${id}, which was sent`);
        return { id, logprob, top: Object.entries(classes ?? {}).map(([of, one]) => [Number(of), one.logprob] as const) };
      });
    });
  },
};
