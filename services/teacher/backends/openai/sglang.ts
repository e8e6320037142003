import { z } from "zod";
import { checkCount, type Dialect, given, inForm, logprob, plainSampling } from "./dialect.js";

const token = z.tuple([logprob, z.number()]).rest(z.unknown());
const form = z.array(
  z.object({
    meta_info: z.object({
      input_token_logprobs: z.array(token),
      input_top_logprobs: z.array(z.array(token).nullable()),
    }),
  }),
);

/**
 * SGLang's own API: /generate with `return_logprob` (sglang/srt/managers/io_struct.py, 0.5). Of the tokens from
 * `logprob_start_len` on there is [log-probability, id, text]; the first has none, so it is the one before those to be scored.
 */
export const sglang: Dialect = {
  path: "/generate",
  body: (_model, asked, k) => ({
    input_ids: asked.map(({ ids }) => ids),
    sampling_params: { max_new_tokens: 1, ...plainSampling },
    return_logprob: true,
    logprob_start_len: asked.map(({ from }) => from - 1),
    top_logprobs_num: asked.map(() => k),
  }),
  read: (answer, asked) => {
    const told = inForm(form, answer);
    checkCount(told.length, asked.length, "texts");
    return told.map(({ meta_info: { input_token_logprobs: tokens, input_top_logprobs: tops } }, i) => {
      const { ids, from } = asked[i]!;
      checkCount(tokens.length, ids.length - from + 1, `input_token_logprobs of text ${i}`);
      checkCount(tops.length, tokens.length, `input_top_logprobs of text ${i}`);
      return tokens.slice(1).map(([value, id], n) => ({
        id,
        logprob: given(value, `token ${id}`),
        top: (tops[n + 1] ?? []).map(([of, one]) => [one, given(of, `class ${one}`)] as const),
      }));
    });
  },
};
